// Words for what the YAML library finds wrong with a text.

/** The library's message in the form of ours: short, on one line, without a capital or full stop. */
export function sentence(message: string): string {
  const short = message.slice(0, 200).replace(/\s+/g, ' ').replace(/\.$/, '');
  return short.charAt(0).toLowerCase() + short.slice(1);
}

/** What to do about a fault of the library's `code`. */
export function syntaxFix(code: string): string {
  switch (code) {
    case 'TAB_AS_INDENT':
      return 'Indent with spaces.';
    case 'MULTIPLE_DOCS':
      return 'Keep one document in the file: remove everything from the second `---` on.';
    case 'BAD_ALIAS':
      return 'Give the alias a name, and define it before as an anchor.';
    case 'TAG_RESOLVE_FAILED':
      return 'Remove the tag: values need none here.';
    case 'BAD_INDENT':
    case 'MISSING_CHAR':
    case 'BAD_COLLECTION_TYPE':
    case 'BLOCK_AS_IMPLICIT_KEY':
      return 'Check the indentation and the brackets here and in the line before; quote text that holds any of : # { } [ ] , & * ! | > %.';
    default:
      return 'Correct the YAML syntax here.';
  }
}
