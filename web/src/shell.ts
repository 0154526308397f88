// Command lines as a shell takes them.

const quote = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`);

export const commandLine = (words: (string | number)[]): string => words.map((word) => quote(String(word))).join(" ");
