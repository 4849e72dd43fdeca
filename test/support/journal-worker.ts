import { parentPort, workerData } from 'node:worker_threads'
import { type Exploration, explore } from './journal-exploration.ts'

const { from, count, notDurable } = workerData as Exploration
parentPort!.postMessage(explore(count, notDurable === undefined ? {} : { notDurable }, from))
