import fc from 'fast-check'

const surrogates = 0x800

/**
 * Any code point but half a surrogate pair: the unit 'binary' of fast-check, which makes a table of all million of them
 * first, a second for each process.
 */
export const anyCharacter: fc.Arbitrary<string> = fc.nat(0x10ffff - surrogates).map(
  (index) => String.fromCodePoint(index < 0xd800 ? index : index + surrogates),
  (character) => {
    const code = typeof character === 'string' ? (character.codePointAt(0) ?? -1) : -1
    if (code < 0 || String.fromCodePoint(code) !== character || (code >= 0xd800 && code < 0xe000))
      throw new Error('no character')
    return code < 0xd800 ? code : code - surrogates
  },
)
