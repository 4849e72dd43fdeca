/** Our collections, beside that of the events. */
export const metaName = (collectionName: string) => `${collectionName}_meta`
export const commitsName = (collectionName: string) => `${collectionName}_commits`
export const postingsName = (collectionName: string) => `${collectionName}_postings`
export const alertName = (collectionName: string) => `${collectionName}_alerts`
export const deliveryName = (collectionName: string) => `${collectionName}_alert_deliveries`
/** Of an earlier release (schema 2). */
export const oldIntentName = (collectionName: string) => `${collectionName}_alert_intents`
export const oldJournalName = (collectionName: string) => `${collectionName}_journal`
