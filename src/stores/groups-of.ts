/** What is done to many things in groups, so that neither a command nor a turn of the event loop grows with their number. */

/** The items in their order, `size` in each group; the last one may have fewer. */
export function groupsOf<T>(items: readonly T[], size: number): T[][] {
  const groups: T[][] = []
  for (let at = 0; at < items.length; at += size) groups.push(items.slice(at, at + size))
  return groups
}
