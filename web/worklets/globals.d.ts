// What an AudioWorkletGlobalScope offers beyond the window's types (Web Audio API, 1.32).
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
  constructor(options?: { processorOptions?: unknown });
}
declare function registerProcessor(
  name: string,
  processor: new (options: { processorOptions: any }) => AudioWorkletProcessor,
): void;
declare const sampleRate: number;
