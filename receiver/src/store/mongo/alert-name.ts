/** The collections of alerts, beside that of the events. */
export const intentName = (collectionName: string) => `${collectionName}_alert_intents`
export const alertName = (collectionName: string) => `${collectionName}_alerts`
export const deliveryName = (collectionName: string) => `${collectionName}_alert_deliveries`
