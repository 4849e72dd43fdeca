/** What GET /data/names tells a page: by kind, names by id. */
export interface NamesAnswer {
  names: { [kind: string]: { [id: string]: string } }
}
