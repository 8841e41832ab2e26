// Put together at run time: scanners of repositories take them for real ones.
export const secrets = {
  anthropic: ['sk', 'ant', 'api03', 'AbCdEf0123456789AbCdEf0123456789'].join('-'),
  github: `ghp_${'a1B2c3D4e5F6'.repeat(3)}`,
  aws: ['AKIA', 'ABCDEFGH12345678'].join(''),
  slack: ['xoxb', '123456789012', 'abcdefghijkl'].join('-'),
  google: `AIza${'x'.repeat(35)}`,
  jwt: ['eyJhbGciOiJIUzI1NiJ9', 'eyJzdWIiOiIxMjM0In0', 's'.repeat(20)].join('.'),
  plain: 'hunter2-correct-horse',
};
