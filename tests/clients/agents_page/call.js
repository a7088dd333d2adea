// Talks to the service of ?url= as an application made with the SDK does, and keeps the
// events as lines of the page's text. What it was sent for a microphone asks the question.
const { OpenAIRealtimeWebRTC, RealtimeAgent, RealtimeSession } = globalThis.OpenAIAgentsRealtime;

const url = new URLSearchParams(location.search).get("url");
const agent = new RealtimeAgent({ name: "Assistant", instructions: "Answer briefly." });
const transport = new OpenAIRealtimeWebRTC({
  baseUrl: `${url}/v1/realtime/calls`,
  useInsecureApiKey: true,
});
const session = new RealtimeSession(agent, { transport, model: "phi" });
session.on("error", ({ error }) => document.body.append(`error ${JSON.stringify(error)}\n`));
transport.on("*", (event) => {
  document.body.append(`${event.type}\n`);
  if (event.type === "response.done") {
    document.body.dataset.callId = transport.callId;
    session.close();
    document.body.dataset.state = "done";
  }
});
await session.connect({ apiKey: "unused" });
