import { it as vitestIt } from 'vitest'

export const it: typeof vitestIt = vitestIt

export declare const connect: (url: string) => Promise<void>
