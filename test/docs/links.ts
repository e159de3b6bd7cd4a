/** Checks that what a page points to is there: relative links, anchors, and files named in a table of evidence. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

/** The text without code blocks, line by line as it was. */
function prose(text: string): string[] {
  let isCode = false
  return text.split(/\r?\n/).map((line) => {
    const isFence = /^\s*```/.test(line)
    if (isFence) isCode = !isCode
    return isCode || isFence ? '' : line
  })
}

/** The anchors of a page: GitHub's slugs of its headings, and explicit ids. */
export function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>()
  const seen = new Map<string, number>()
  for (const line of prose(text)) {
    for (const id of line.matchAll(/<a (?:id|name)="(?<id>[^"]+)"/g)) anchors.add(id.groups?.['id'] ?? '')
    const heading = /^#{1,6}\s+(?<title>.*?)\s*#*$/.exec(line)?.groups?.['title']
    if (heading === undefined) continue
    const slug = heading
      .replace(/\[(?<label>[^\]]*)\]\([^)]*\)/g, '$<label>')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
      .replaceAll(' ', '-')
    const times = seen.get(slug) ?? 0
    seen.set(slug, times + 1)
    anchors.add(times === 0 ? slug : `${slug}-${times}`)
  }
  return anchors
}

/** The links of a page that lead to files of the project, with their lines. */
export function linksOf(text: string): { readonly line: number; readonly target: string }[] {
  return prose(text).flatMap((line, at) => {
    const plain = line.replace(/`[^`]*`/g, (code) => ' '.repeat(code.length))
    // Code in a link's label is blanked, and the link stays.
    const inline = [...plain.matchAll(/\]\((?<target>[^)\s]+)(?:\s+"[^"]*")?\)/g)]
    const defined = [...plain.matchAll(/^\s*\[[^\]]+\]:\s+(?<target>\S+)/g)]
    return [...inline, ...defined]
      .map(({ groups = {} }) => ({ line: at + 1, target: groups['target'] ?? '' }))
      .filter(({ target }) => !/^[a-z][a-z0-9+.-]*:/i.test(target))
  })
}

/** What does not resolve among the links of a page. */
export function brokenLinks(root: string, file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8')
  return linksOf(text).flatMap(({ line, target }) => {
    const [path = '', anchor = ''] = decodeURIComponent(target).split('#')
    const to = path === '' ? join(root, file) : join(root, dirname(file), path)
    if (relative(root, to).startsWith('..')) return [`${file}:${line}: ${target} leads out of the project`]
    if (!existsSync(to)) return [`${file}:${line}: ${target} is not there`]
    if (anchor === '' || statSync(to).isDirectory() || !to.endsWith('.md')) return []
    return anchorsOf(readFileSync(to, 'utf8')).has(anchor) ? [] : [`${file}:${line}: ${target}: no such heading`]
  })
}

/** Files of the project that a page names in its text and that are not there. */
export function missingFiles(root: string, file: string): string[] {
  return prose(readFileSync(join(root, file), 'utf8')).flatMap((line, at) => {
    const named = line.matchAll(/(?<![\w./-])(?:src|test|docs|examples|bench|scripts)\/[\w./-]*\w/g)
    return [...named]
      .filter(([path]) => !existsSync(join(root, path)))
      .map(([path]) => `${file}:${at + 1}: ${path} is not there`)
  })
}
