/** What a contender, a floor and a scenario are. */

/** Where a contender keeps its entries: nowhere, in this process, in an SQLite file, in files of another kind, in a server. */
export type StoreKind = 'none' | 'memory' | 'sqlite' | 'file' | ServerKind

/** Stores that are servers: where each runs, lib/services.ts knows. */
export type ServerKind = 'redis' | 'mongodb' | 'dynamodb' | 'memcached'

/** How a body is asked for. */
export type Shape = 'text' | 'json' | 'arrayBuffer'

/** One HTTP client that is ready for use. */
export interface Client {
  text(url: string): Promise<string>
  json(url: string): Promise<unknown>
  arrayBuffer(url: string): Promise<ArrayBuffer | Uint8Array>
  /** Reads the body as a stream without keeping it; how many bytes came. Null: the client has no streams that go through its cache. */
  readonly drain: ((url: string) => Promise<number>) | null
  /** Reads what is stored for the URL past the client, by its store alone; only where there is something to learn from it. */
  readonly stored?: (url: string) => Promise<unknown>
  /** Removes what this client keeps in a server. */
  readonly clear?: () => Promise<void>
  close(): Promise<void>
}

export interface SetupOptions {
  readonly store: StoreKind
  /** An empty directory of this client's own; its name is what the client's entries in a server go by. */
  readonly dir: string
  /** Where the server runs; '' where the store is none. */
  readonly server: string
}

/** One HTTP cache, or one floor, as it takes part in the race. */
export interface Contender {
  /** As in tables, without version: 'undici.request + cache'. */
  readonly name: string
  /** The npm package whose version is printed; null for what is part of Node or of this bench. */
  readonly package: string | null
  readonly stores: readonly StoreKind[]
  /** Takes part in these scenarios only; by default in all that have one of its stores. */
  readonly scenarios?: readonly string[]
  /** What a reader of the numbers must know. */
  readonly note?: string
  setup(origin: string, options: SetupOptions): Promise<Client>
}

/** A contender, and where it came from. */
export interface LoadedContender extends Contender {
  /** URL of the module that exports it. */
  readonly module: string
}

/** A contender or floor that cannot take part, and why. */
export interface Absent {
  readonly name: string
  readonly why: string
}

/** The origin, in a process of its own. */
export interface Origin {
  /** http://127.0.0.1:port */
  readonly url: string
  /** How many requests it has had whose path starts with `prefix`. */
  count(prefix: string): Promise<number>
  close(): Promise<void>
}

/** What a scenario may use. */
export interface Context {
  readonly quick: boolean
  readonly contenders: readonly LoadedContender[]
  readonly floors: readonly LoadedContender[]
  readonly origin: Origin
  /** What could not be loaded. */
  readonly absent: readonly Absent[]
  /** Bytes of the large body. */
  readonly size: number
  /** Stores that were asked for; null: all that the scenario has. */
  readonly stores: readonly StoreKind[] | null
  /** Numbers of entries for the scenarios that grow; null: the scenario's own. */
  readonly entries: readonly number[] | null
  /** A new empty directory; removed when the scenario ends. */
  tmp(): string
  log(line: string): void
}

export type Cell = string | number | null

export interface Table {
  readonly title: string
  readonly columns: readonly string[]
  readonly rows: readonly (readonly Cell[])[]
}

/** A goal of the project, and whether this run reached it. */
export interface Target {
  readonly what: string
  /** `at most` or `at least` this. */
  readonly limit: number
  readonly sense: 'at most' | 'at least'
  readonly got: number
  /** Behind both numbers: 'x', 'ms', ... */
  readonly unit: string
}

export interface Report {
  readonly tables: readonly Table[]
  readonly targets: readonly Target[]
  readonly notes: readonly string[]
}

export interface Scenario {
  readonly title: string
  /** One or two sentences: what is asked, and how. */
  readonly about: string
  run(context: Context): Promise<Report>
}
