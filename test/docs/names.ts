/**
 * Which names an example takes for granted. An example on a page need not repeat what the page has imported above it,
 * nor declare the reader's own database: `scenes/` does. Found by the words of the text; an import too many does no harm.
 */

/** A name and the import statement that brings it. */
export type Supply = ReadonlyMap<string, string>

const WORD = /[A-Za-z_$][\w$]*/g

/** Import statements of a module, whole. */
function importsOf(code: string): RegExpExecArray[] {
  return [...code.matchAll(/^import\s+(?<names>[^'"]*?)\s+from\s+(?<from>'[^']+'|"[^"]+")/gm)]
}

/** What each import of a module brings, as statements of one name each. */
export function suppliedByImports(code: string): Supply {
  const supply = new Map<string, string>()
  for (const { groups = {} } of importsOf(code)) {
    const [names = '', from = ''] = [groups['names'], groups['from']]
    const list = /\{(?<list>[^}]*)\}/.exec(names)?.groups?.['list'] ?? ''
    for (const part of list.split(',').map((each) => each.trim())) {
      const local = part.split(/\s+/).at(-1) ?? ''
      if (local !== '') supply.set(local, `import { ${part} } from ${from}`)
    }
    const single = /^(?:\*\s+as\s+)?(?<local>[\w$]+)/.exec(names.trim())
    if (single?.groups?.['local'] !== undefined) supply.set(single.groups['local'], `import ${single[0]} from ${from}`)
  }
  return supply
}

/** What a module exports by declarations, as imports of it. `specifier` is what the example imports it by. */
export function suppliedByModule(code: string, specifier: string): Supply {
  const supply = new Map<string, string>()
  const pattern =
    /^export (?:declare )?(?:async )?(?<kind>const|let|function\*?|class|interface|type) (?<name>[\w$]+)/gm
  for (const { groups = {} } of code.matchAll(pattern)) {
    const [kind, name = ''] = [groups['kind'], groups['name']]
    const isType = kind === 'interface' || kind === 'type'
    supply.set(name, `import { ${isType ? 'type ' : ''}${name} } from '${specifier}'`)
  }
  return supply
}

/** Names that a module declares at its top, or at least might. */
export function declaredNames(code: string): Set<string> {
  const names = new Set(suppliedByImports(code).keys())
  const plain =
    /^(?:export )?(?:declare )?(?:abstract )?(?:async )?(?:await )?(?:const|let|var|using|function\*?|class|interface|type|enum) (?<name>[\w$]+)/gm
  for (const { groups = {} } of code.matchAll(plain)) names.add(groups['name'] ?? '')
  for (const { groups = {} } of code.matchAll(/^(?:export )?(?:const|let|var) (?<pattern>[{[][^=]*)/gm)) {
    for (const [name] of (groups['pattern'] ?? '').matchAll(WORD)) names.add(name)
  }
  return names
}

/** The import statements a module lacks: those of its words that it does not declare, from the first supply with them. */
export function missingImports(code: string, supplies: readonly Supply[]): string[] {
  const declared = declaredNames(code)
  const words = new Set([...code.matchAll(WORD)].map(([word]) => word))
  return [...words].flatMap((word) => {
    if (declared.has(word)) return []
    const found = supplies.find((supply) => supply.has(word))?.get(word)
    return found === undefined ? [] : [found]
  })
}
