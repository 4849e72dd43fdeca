/** The version of this package, as its package.json has it; part of User-Agent and of the OTel scope. */
export const version = '0.1.0'
