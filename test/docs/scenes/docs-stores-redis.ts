/** The certificate of one's own authority. */
export const ca = ''
