/** Fixed content of the origin. The images are the smallest valid file of their kind (one pixel). */

export const HTML: string = `<!DOCTYPE html>
<html lang="en"><head><title>Origin</title></head><body><h1>Moby-Dick</h1><p>Call me Ishmael.</p></body></html>
`
export const XML: string = `<?xml version="1.0" encoding="UTF-8"?>
<slideshow title="Sample"><slide type="all"><title>Wake up</title></slide></slideshow>
`
export const ROBOTS: string = 'User-agent: *\nDisallow: /deny\n'
export const UTF8: string = '∀x∈ℝ: ⌈x⌉ = −⌊−x⌋ — Καλημέρα κόσμε — コンニチハ — السلام عليكم — 😀\n'

interface Image {
  readonly type: string
  readonly bytes: Uint8Array
}

const base64 = (text: string): Uint8Array => Buffer.from(text, 'base64')

export const IMAGES: Readonly<Record<string, Image>> = {
  png: {
    type: 'image/png',
    bytes: base64('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=='),
  },
  jpeg: {
    type: 'image/jpeg',
    bytes: base64(
      '/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////////////////////////////////////////////////////////////////////' +
        'wgALCAABAAEBAREA/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQABPxA=',
    ),
  },
  webp: {
    type: 'image/webp',
    bytes: base64('UklGRiQAAABXRUJQVlA4IBgAAAAwAQCdASoBAAEAAwA0JaQAA3AA/vuUAAA='),
  },
  svg: {
    type: 'image/svg+xml',
    bytes: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"><path d="M0 0h1v1H0z"/></svg>\n'),
  },
}

/** The image for an Accept field: the first type it names that there is; png for a wildcard or for none. */
export function imageType(accept: string): string {
  for (const part of accept.split(',')) {
    const wanted = part.split(';', 1)[0]?.trim().toLowerCase()
    if (wanted === 'image/*' || wanted === '*/*') return 'png'
    const found = Object.entries(IMAGES).find(([, image]) => image.type === wanted)
    if (found !== undefined) return found[0]
  }
  return 'none'
}
