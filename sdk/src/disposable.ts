// TypeScript before 5.2 does not know these two; later ones find the same in their own libraries.
declare global {
  interface SymbolConstructor {
    readonly dispose: unique symbol
    readonly asyncDispose: unique symbol
  }
}

export {}
