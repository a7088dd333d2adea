// @ts-check
/**
 * The OpenAI Realtime protocol as this page speaks it. Pure: builds client events, folds
 * server events into a conversation. Knows no socket, no clock and no DOM.
 *
 * A conversation is a value: `receive` returns a new one and shares every turn that did
 * not change, so a view need only compare references.
 */

/**
 * @typedef {{type: string} & Record<string, any>} Event as it stands in a JSON message
 * @typedef {{startMs: number, endMs: number | null}} Span milliseconds of audio sent
 * @typedef {{id: string, timestamp_ms: number | null, captured_ms: number,
 *   width: number, height: number, used: boolean, reason: string}} Frame
 * @typedef {"in_progress" | "completed" | "cancelled" | "failed" | "incomplete" | "lost"} Status
 * @typedef {{id: string, text: string, status: Status, reason: string | null,
 *   frames: Frame[], timeline: import("./latency.js").Timeline | null}} Reply
 * @typedef {{key: string, epoch: number, itemId: string | null, speech: Span | null,
 *   isCommitted: boolean, words: string | null, hasPhoto: boolean, reply: Reply | null}} Turn
 * @typedef {{epoch: number, sessionId: string | null, model: string | null,
 *   held: Span | null, turns: readonly Turn[]}} Conversation
 *   `epoch` counts sessions: a reconnected server knows nothing of earlier turns and may
 *   use their ids again. `held` is push-to-talk audio whose commit is not confirmed yet.
 * @typedef {"listening" | "hearing" | "thinking" | "answering"} Phase
 * @typedef {{speaks_aloud?: "yes" | "no", watch?: {instruction: string} | null}} Extras what
 *   this server can do beyond the protocol
 */

/** @type {Conversation} */
export const EMPTY = { epoch: 0, sessionId: null, model: null, held: null, turns: [] };

/**
 * @param {boolean} isHandsFree false: the client says when a turn starts and ends
 * @param {Extras} extras
 */
export function sessionUpdate(isHandsFree, extras = {}) {
  const turn_detection = isHandsFree
    ? { type: "server_vad", create_response: true, interrupt_response: true }
    : null;
  return {
    type: "session.update",
    session: {
      type: "realtime",
      output_modalities: ["text"],
      audio: { input: { format: { type: "audio/pcm", rate: 24000 }, turn_detection } },
      assistant: { events: ["metrics"], ...extras },
    },
  };
}

/** @param {string} audio base64 of PCM16 mono 24 kHz */
export const appendAudio = (audio) => ({ type: "input_audio_buffer.append", audio });
export const commitAudio = () => ({ type: "input_audio_buffer.commit" });
export const clearAudio = () => ({ type: "input_audio_buffer.clear" });
export const createResponse = () => ({ type: "response.create" });
export const cancelResponse = () => ({ type: "response.cancel" });

/**
 * @param {string} image base64 of a JPEG
 * @param {number} timestamp_ms when it was taken, on the client's own monotonic clock
 */
export const appendImage = (image, timestamp_ms) => ({
  type: "input_image_buffer.append",
  image,
  timestamp_ms,
});

/**
 * @param {string} id of the new item
 * @param {string} text may be empty when there is a photo
 * @param {string | null} photo data URL
 */
export function createUserItem(id, text, photo) {
  /** @type {Record<string, string>[]} */
  const content = [];
  if (photo !== null) content.push({ type: "input_image", image_url: photo });
  if (text !== "") content.push({ type: "input_text", text });
  return {
    type: "conversation.item.create",
    item: { id, type: "message", role: "user", content },
  };
}

/**
 * @param {string} item_id
 * @param {string} event_id named by the error when there is no such item
 */
export const retrieveItem = (item_id, event_id) => ({
  type: "conversation.item.retrieve",
  item_id,
  event_id,
});

/**
 * Note what was said while the talk button was held; the next commit is its turn.
 * @param {Conversation} conversation
 * @param {Span} held
 * @returns {Conversation}
 */
export const hold = (conversation, held) => ({ ...conversation, held });

/**
 * The connection is gone: what was open will not be finished.
 * @param {Conversation} conversation
 * @returns {Conversation}
 */
export function disconnect(conversation) {
  const turns = conversation.turns
    .filter((turn) => turn.isCommitted || turn.reply !== null)
    .map((turn) => {
      if (turn.reply?.status !== "in_progress") return turn;
      return { ...turn, reply: { ...turn.reply, status: /** @type {Status} */ ("lost") } };
    });
  return { ...conversation, held: null, turns };
}

/**
 * Fold one server event in. Events that say nothing about the conversation leave it as it
 * is, and so do unknown ones: the protocol grows.
 * @param {Conversation} conversation
 * @param {Event} event
 * @returns {Conversation}
 */
export function receive(conversation, event) {
  const fold = FOLDS[event.type];
  return fold ? fold(conversation, event) : conversation;
}

/** @type {Record<string, (conversation: Conversation, event: Event) => Conversation>} */
const FOLDS = {
  "session.created": (conversation, { session }) => ({
    ...disconnect(conversation),
    epoch: conversation.epoch + 1,
    sessionId: session.id ?? null,
    model: session.model ?? null,
  }),

  "input_audio_buffer.speech_started": (conversation, event) => {
    // Speech that was detected, dropped and never committed was a false start.
    const turns = conversation.turns.filter(
      (turn) => turn.isCommitted || turn.reply !== null || turn.epoch !== conversation.epoch,
    );
    const speech = { startMs: event.audio_start_ms, endMs: null };
    return withItem({ ...conversation, turns }, event.item_id, () => ({ speech }));
  },
  "input_audio_buffer.speech_stopped": (conversation, event) =>
    withItem(conversation, event.item_id, ({ speech }) => ({
      speech: { startMs: speech?.startMs ?? event.audio_end_ms, endMs: event.audio_end_ms },
    })),
  "input_audio_buffer.committed": (conversation, event) => ({
    ...withItem(conversation, event.item_id, ({ speech }) => ({
      isCommitted: true,
      speech: speech ?? conversation.held,
    })),
    held: null,
  }),

  "conversation.item.added": receiveItem,
  "conversation.item.done": receiveItem,
  "conversation.item.deleted": (conversation, event) => ({
    ...conversation,
    turns: conversation.turns.filter(
      (turn) => turn.epoch !== conversation.epoch || turn.itemId !== event.item_id,
    ),
  }),

  "conversation.item.input_audio_transcription.delta": (conversation, event) =>
    withItem(conversation, event.item_id, ({ words }) => ({
      words: (words ?? "") + (event.delta ?? ""),
    })),
  "conversation.item.input_audio_transcription.completed": (conversation, event) =>
    withItem(conversation, event.item_id, () => ({ words: event.transcript })),

  "response.created": (conversation, { response }) => {
    const reply = {
      id: response.id,
      text: "",
      status: /** @type {Status} */ ("in_progress"),
      reason: null,
      frames: [],
      timeline: null,
    };
    const open = conversation.turns.findLast(
      (turn) => turn.epoch === conversation.epoch && turn.isCommitted && turn.reply === null,
    );
    if (open) return withTurn(conversation, open, { reply });
    const turn = newTurn(conversation, `${conversation.epoch}:${response.id}`);
    return { ...conversation, turns: [...conversation.turns, { ...turn, reply }] };
  },
  "response.output_text.delta": (conversation, event) =>
    withReply(conversation, event.response_id, ({ text }) => ({ text: text + event.delta })),
  "response.output_text.done": (conversation, event) =>
    withReply(conversation, event.response_id, () => ({ text: event.text })),
  "response.output_audio_transcript.delta": (conversation, event) =>
    withReply(conversation, event.response_id, ({ text }) => ({ text: text + event.delta })),
  "response.output_audio_transcript.done": (conversation, event) =>
    withReply(conversation, event.response_id, () => ({ text: event.transcript })),
  "response.done": (conversation, { response }) =>
    withReply(conversation, response.id, () => ({
      status: response.status,
      reason:
        response.status_details?.error?.message ?? response.status_details?.reason ?? null,
      frames: response.assistant?.frames ?? [],
      timeline: response.assistant?.timeline ?? null,
    })),
};

/**
 * @param {Conversation} conversation
 * @param {Event} event
 */
function receiveItem(conversation, { item }) {
  if (item.type !== "message" || item.role !== "user") return conversation;
  /** @type {{type: string, text?: string, transcript?: string | null}[]} */
  const content = item.content ?? [];
  const said = content
    .map((part) => (part.type === "input_text" ? part.text : part.transcript))
    .filter(Boolean)
    .join(" ");
  return withItem(conversation, item.id, ({ words }) => ({
    isCommitted: true,
    words: said || words,
    hasPhoto: content.some(({ type }) => type === "input_image"),
  }));
}

/**
 * @param {Conversation} conversation
 * @param {string} key
 * @returns {Turn}
 */
function newTurn({ epoch }, key) {
  return {
    key,
    epoch,
    itemId: null,
    speech: null,
    isCommitted: false,
    words: null,
    hasPhoto: false,
    reply: null,
  };
}

/**
 * Change the turn of a user item; it is added when it is not there yet.
 * @param {Conversation} conversation
 * @param {string} itemId
 * @param {(turn: Turn) => Partial<Turn>} change
 */
function withItem(conversation, itemId, change) {
  const { epoch, turns } = conversation;
  const known = turns.findLast((turn) => turn.epoch === epoch && turn.itemId === itemId);
  if (known) return withTurn(conversation, known, change(known));
  const turn = { ...newTurn(conversation, `${epoch}:${itemId}`), itemId };
  return { ...conversation, turns: [...turns, { ...turn, ...change(turn) }] };
}

/**
 * Change the reply of a response; one that is not known changes nothing.
 * @param {Conversation} conversation
 * @param {string} responseId
 * @param {(reply: Reply) => Partial<Reply>} change
 */
function withReply(conversation, responseId, change) {
  const turn = conversation.turns.findLast(
    ({ epoch, reply }) => epoch === conversation.epoch && reply?.id === responseId,
  );
  if (!turn?.reply || turn.reply.status !== "in_progress") return conversation;
  return withTurn(conversation, turn, { reply: { ...turn.reply, ...change(turn.reply) } });
}

/**
 * @param {Conversation} conversation
 * @param {Turn} turn
 * @param {Partial<Turn>} change
 * @returns {Conversation}
 */
function withTurn(conversation, turn, change) {
  const turns = conversation.turns.map((other) =>
    other === turn ? { ...turn, ...change } : other,
  );
  return { ...conversation, turns };
}

/**
 * @param {Conversation} conversation
 * @returns {boolean} whether an answer is being written, or is due and not announced yet
 */
export function isAnswering(conversation) {
  const { turns, epoch } = conversation;
  return (
    phaseOf(conversation) === "thinking" ||
    turns.some((turn) => turn.epoch === epoch && turn.reply?.status === "in_progress")
  );
}

/**
 * What the assistant is doing now.
 * @param {Conversation} conversation
 * @returns {Phase}
 */
export function phaseOf(conversation) {
  const turn = conversation.turns.at(-1);
  if (!turn || turn.epoch !== conversation.epoch) return "listening";
  if (turn.speech && turn.speech.endMs === null && !turn.isCommitted) return "hearing";
  if (turn.reply === null) return turn.isCommitted ? "thinking" : "listening";
  if (turn.reply.status !== "in_progress") return "listening";
  return turn.reply.text === "" ? "thinking" : "answering";
}
