import { expect, it } from 'vitest'
import { parseDotenv } from '../../../receiver/src/config/dotenv.ts'
import { growth } from '../../support/doubling.ts'

// biome-ignore-start lint/suspicious/noTemplateCurlyInString: the grammar of these files
it('reads what MADSci writes', () => {
  const text = [
    '# the lab',
    'MANAGER_HOST=lab-server',
    'export DOCUMENT_DB_URL=mongodb://${MANAGER_HOST}:27017   # MongoDB',
    'EVENT_MANAGER_NAME=Lab#2',
    'PASSWORD=abc#123',
    "SINGLE='it\\'s ${MANAGER_HOST}'",
    'DOUBLE="two\\nlines # no comment"',
    'DEFAULT=${NOBODY:-plain}${HOME_OF}',
    'EMPTY=',
    'BARE',
    '  SPACED = x y  ',
    'WRONG="no end',
    'LAST=1',
  ].join('\r\n')
  expect(parseDotenv(text, { HOME_OF: '/lab' })).toEqual({
    MANAGER_HOST: 'lab-server',
    DOCUMENT_DB_URL: 'mongodb://lab-server:27017',
    EVENT_MANAGER_NAME: 'Lab#2',
    PASSWORD: 'abc#123',
    SINGLE: "it's lab-server",
    DOUBLE: 'two\nlines # no comment',
    DEFAULT: 'plain/lab',
    EMPTY: '',
    BARE: '',
    SPACED: 'x y',
    LAST: '1',
  })
})
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: the grammar of these files

it.each(["A='\\'", 'A="\\"', 'A=# ', 'A=${', ' #', "'", '\n', 'A=x\n', 'A = ', 'A b\n', 'export '])(
  'takes time in proportion to the text: %j again and again',
  async (part) => {
    expect(
      await growth((size) => parseDotenv(part.repeat(size / part.length), {}), {
        from: 1 << 14,
        to: 1 << 19,
        runs: 2,
      }),
    ).toBeLessThan(2.5)
  },
)
