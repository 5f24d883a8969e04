//! Every setting that a tenant may make, with its bounds. The names and meanings are those of
//! `OpenClaw`'s configuration.

use super::{Field, Kind};

/// A model or another short name.
const NAME: Kind = Kind::Text(256);
/// Names of one list.
const NAMES: Kind = Kind::List(256, &NAME);
/// A prompt or template.
const PROSE: Kind = Kind::Text(16 << 10);

const fn field(name: &'static str, help: &'static str, kind: Kind) -> Field {
    Field { name, help, kind }
}

/// Everything.
pub(super) static ROOT: Kind = Kind::Object(&[
    field("agents", "What holds for every agent that says nothing else.", Kind::Object(AGENTS)),
    field("session", "How conversations are told apart, begun anew and kept.", SESSION),
    field("messages", "What happens to messages.", Kind::Object(MESSAGES)),
    field("cron", "Jobs.", Kind::Object(CRON)),
    field("skills", "Skills.", Kind::Object(SKILLS)),
    field("hooks", "What may be started by a web request.", Kind::Object(HOOKS)),
    field("gateway", "What this gateway does for you.", Kind::Object(GATEWAY)),
    field("ui", "How the user interface looks.", Kind::Object(UI)),
    field("talk", "Talking to an agent.", Kind::Object(TALK)),
    field("tools", "The tools that agents have.", Kind::Object(TOOLS)),
]);

const AGENTS: &[Field] = &[
    field("defaults", "Defaults of all agents.", Kind::Object(DEFAULTS)),
    field("tools", "The tools of single agents, by id.", Kind::Map(64, &Kind::Object(POLICY))),
];

const DEFAULTS: &[Field] = &[
    field("model", "The model, PROVIDER/MODEL, and those to try where it fails.", MODEL),
    field("heartbeat", "When agents look for something to do by themselves.", HEARTBEAT),
    field("timeoutSeconds", "Seconds that one run may take.", Kind::Whole(1, 604_800)),
    field("maxSteps", "Answers with calls of tools in one run.", Kind::Whole(1, 1000)),
    field(
        "maxTokensPerRun",
        "Tokens after which a run takes no further step.",
        Kind::Whole(1, 1_000_000_000),
    ),
    field("contextTokens", "Tokens that a model takes at once.", Kind::Whole(1000, 10_000_000)),
    field("compaction", "How a long conversation is shortened.", Kind::Object(COMPACTION)),
    field("maxConcurrent", "Runs at once.", Kind::Whole(1, 64)),
    field("skills", "The skills that agents may use; all where nothing is said.", NAMES),
    field("memorySearch", "How what agents wrote down is searched.", Kind::Object(MEMORY_SEARCH)),
];

const MEMORY_SEARCH: &[Field] = &[
    field("enabled", "Whether it can be searched.", Kind::Switch),
    field("model", "The model of embeddings, PROVIDER/MODEL; words alone where none is set.", NAME),
];

const MODEL: Kind = Kind::Either(&[
    NAME,
    Kind::Object(&[
        field("primary", "The model that is asked first.", NAME),
        field("fallbacks", "Models to try, in order.", Kind::List(16, &NAME)),
    ]),
]);

const HEARTBEAT: Kind = Kind::Object(&[
    field("every", "The time between heartbeats, such as 30m; 0m for none.", Kind::Span),
    field("prompt", "What the model is asked.", PROSE),
    field("target", "Where what it says goes: none, last, or a channel.", NAME),
    field("model", "The model that is asked.", NAME),
    field(
        "ackMaxChars",
        "Characters beside HEARTBEAT_OK that say nothing.",
        Kind::Whole(0, 100_000),
    ),
    field("isolatedSession", "Whether heartbeats have a session of their own.", Kind::Switch),
    field("activeHours", "When there are heartbeats.", Kind::Object(ACTIVE_HOURS)),
]);

const ACTIVE_HOURS: &[Field] = &[
    field("start", "From when on, HH:MM.", Kind::Text(5)),
    field("end", "Until when, HH:MM; 24:00 for midnight.", Kind::Text(5)),
    field("timezone", "Of which time zone: an IANA name, user or local.", Kind::Text(64)),
];

const COMPACTION: &[Field] = &[
    field("mode", "How it is done.", Kind::Word(&["default", "safeguard"])),
    field("reserveTokens", "Tokens that are kept free.", Kind::Whole(0, 10_000_000)),
    field("keepRecentTokens", "Tokens that are left as they are.", Kind::Whole(0, 10_000_000)),
];

const SESSION: Kind = Kind::Object(&[
    field(
        "dmScope",
        "Which direct messages share a session.",
        Kind::Word(&["main", "per-peer", "per-channel-peer", "per-account-channel-peer"]),
    ),
    field(
        "groupScope",
        "Which messages of groups share a session.",
        Kind::Word(&["per-group", "main"]),
    ),
    field(
        "identityLinks",
        "People, and what they are called on each channel.",
        Kind::Map(256, &Kind::List(64, &NAME)),
    ),
    field("reset", "When a session is begun anew.", Kind::Object(RESET)),
    field("resetByType", "The same for direct, group and thread.", RESETS),
    field("resetByChannel", "The same for each channel.", RESETS),
    field("maintenance", "How long sessions are kept.", Kind::Object(MAINTENANCE)),
]);

const RESETS: Kind = Kind::Map(64, &Kind::Object(RESET));

const RESET: &[Field] = &[
    field("mode", "What begins a session anew.", Kind::Word(&["none", "daily", "idle"])),
    field("atHour", "The hour of daily.", Kind::Whole(0, 23)),
    field("idleMinutes", "Minutes without a message.", Kind::Whole(1, 5_256_000)),
];

const MAINTENANCE: &[Field] = &[
    field(
        "pruneAfter",
        "How long a session is kept that nobody uses; false for ever.",
        Kind::Either(&[Kind::Off, Kind::SpanOrMillis]),
    ),
    field("maxEntries", "Sessions that are kept.", Kind::Whole(1, 1_000_000)),
];

const MESSAGES: &[Field] =
    &[field("queue", "Messages that come while a run goes on.", Kind::Object(QUEUE))];

const QUEUE: &[Field] = &[
    field(
        "mode",
        "How they are run.",
        Kind::Word(&["steer", "followup", "collect", "interrupt", "steer-backlog"]),
    ),
    field("debounceMs", "Milliseconds to wait for more.", Kind::Whole(0, 60_000)),
    field("cap", "Messages that may wait in one session.", Kind::Whole(1, 30)),
    field("drop", "What goes where there is no room.", Kind::Word(&["summarize", "old", "new"])),
];

const CRON: &[Field] = &[
    field("enabled", "Whether jobs run by themselves.", Kind::Switch),
    field("maxConcurrentRuns", "Jobs at once.", Kind::Whole(1, 16)),
];

const SKILLS: &[Field] = &[
    field("entries", "Each skill.", Kind::Map(256, &Kind::Object(SKILL))),
    field("allowBundled", "The platform's skills that may be used; all where empty.", NAMES),
];

const SKILL: &[Field] = &[
    field("enabled", "Whether it may be used.", Kind::Switch),
    field("config", "What it goes by.", Kind::Map(64, &Kind::Free)),
    field("apiKey", "Its key: set with skills.update, and never shown.", Kind::Sealed),
    field("env", "Its variables: set with skills.update, and never shown.", Kind::Sealed),
];

const HOOKS: &[Field] = &[
    field("enabled", "Whether hooks are answered.", Kind::Switch),
    field("mappings", "Hooks beside wake and agent.", Kind::List(64, &Kind::Object(MAPPING))),
    field("defaultSessionKey", "The session of runs that name none.", NAME),
    field("allowRequestSessionKey", "Whether a request may choose its session.", Kind::Switch),
    field("allowedSessionKeyPrefixes", "How a chosen session must begin.", NAMES),
    field("allowedAgentIds", "The agents that may be asked for; * for all.", NAMES),
];

const MAPPING: &[Field] = &[
    field("id", "Its name.", NAME),
    field(
        "match",
        "Which requests it is for.",
        Kind::Object(&[
            field("path", "The last segment of the path.", NAME),
            field("source", "The field source of the body.", NAME),
        ]),
    ),
    field("action", "What it does.", Kind::Word(&["wake", "agent"])),
    field("wakeMode", "When it does it.", Kind::Word(&["now", "next-heartbeat"])),
    field("name", "What it is called.", NAME),
    field("agentId", "Which agent.", NAME),
    field("sessionKey", "Which session.", NAME),
    field("messageTemplate", "What the agent is told.", PROSE),
    field("textTemplate", "What the event says.", PROSE),
    field("deliver", "Whether the answer goes to a channel.", Kind::Switch),
    field("model", "Which model.", NAME),
    field("thinking", "How hard it thinks.", NAME),
    field("timeoutSeconds", "Seconds that it may take.", Kind::Whole(1, 604_800)),
];

const GATEWAY: &[Field] = &[field("nodes", "Your nodes.", Kind::Object(NODES))];

const NODES: &[Field] = &[
    field("commands", "Commands that your nodes may be asked.", Kind::Object(NODE_COMMANDS)),
    field("allowCommands", "An older name of commands.allow.", NAMES),
    field("denyCommands", "An older name of commands.deny.", NAMES),
];

const NODE_COMMANDS: &[Field] = &[
    field("allow", "Commands that nodes may be asked beside the harmless ones.", NAMES),
    field("deny", "Commands that no node may be asked, whatever else is said.", NAMES),
];

const UI: &[Field] = &[
    field("seamColor", "The colour of accents, such as #4F46E5.", Kind::Text(32)),
    field(
        "assistant",
        "What the assistant is called and looks like.",
        Kind::Object(&[
            field("name", "Its name.", Kind::Text(50)),
            field("avatar", "A letter, an emoji, or the address of a picture.", Kind::Text(4096)),
        ]),
    ),
    field("prefs", "What the user interface remembers.", Kind::Map(64, &Kind::Free)),
];

const TALK: &[Field] = &[
    field("speechLocale", "The language that is spoken, such as en-US.", Kind::Text(35)),
    field("silenceTimeoutMs", "Silence that ends what is said.", Kind::Whole(100, 60_000)),
    field("interruptOnSpeech", "Whether speaking interrupts the agent.", Kind::Switch),
];

/// How free commands are, from the least.
const SECURITY: Kind = Kind::Word(&["deny", "allowlist", "full"]);

const EXEC: &[Field] = &[
    field(
        "security",
        "Which may run: none, those on the list, or all. The stricter of this and the \
         operator's holds.",
        SECURITY,
    ),
    field(
        "ask",
        "When somebody is asked first: never, for what is not on the list, or always. The stricter of \
         this and the operator's holds.",
        Kind::Word(&["off", "on-miss", "always"]),
    ),
    field("askFallback", "What holds where nobody answers.", Kind::Word(&["deny"])),
    field("timeoutSeconds", "Seconds that one may take.", Kind::Whole(1, 86_400)),
    field(
        "network",
        "What they can reach: nothing, or what the rules of egress allow. Nothing where the operator \
         says so.",
        Kind::Word(&["none", "broker"]),
    ),
];

const TERMINAL: &[Field] = &[
    field("enabled", "Whether there are any. None where the operator says so.", Kind::Switch),
    field("idleMinutes", "Minutes without a key after which one ends.", Kind::Whole(1, 1440)),
    field("maxMinutes", "Minutes after which one ends in any case.", Kind::Whole(1, 10_080)),
    field("env", "Variables beside the harmless ones that may be set.", Kind::List(64, &NAME)),
];

const TOOLS: &[Field] = &[
    PROFILE,
    ALLOW,
    DENY,
    field("exec", "Commands of agents.", Kind::Object(EXEC)),
    field("terminal", "Shells that people type into.", Kind::Object(TERMINAL)),
    field("egress", "What tools may reach of what the operator lets through.", EGRESS),
    field("web", "Documents of the web.", Kind::Object(WEB)),
    field("loop", "What happens to a run that repeats itself.", Kind::Object(LOOP)),
    field("agentToAgent", "What agents may do to each other.", Kind::Object(AGENT_TO_AGENT)),
];

const AGENT_TO_AGENT: &[Field] = &[field(
    "enabled",
    "Whether tools of one agent reach the sessions and jobs of the others.",
    Kind::Switch,
)];

const POLICY: &[Field] = &[PROFILE, ALLOW, DENY];

const PROFILE: Field = field(
    "profile",
    "The tools that are there where nothing else is said.",
    Kind::Word(&["minimal", "coding", "messaging", "full"]),
);
const ALLOW: Field = field("allow", "Tools that may be used: names, group:NAME or *.", NAMES);
const DENY: Field = field("deny", "Tools that may not.", NAMES);

const LOOP: &[Field] = &[
    field("warnAt", "Equal results after which the model is told so.", Kind::Whole(2, 64)),
    field("stopAt", "Equal results after which the run is stopped.", Kind::Whole(2, 64)),
];

/// METHODS SCHEME://HOST:PORT/PATH.
const RULES: Kind = Kind::List(100, &Kind::Text(512));

const EGRESS: Kind = Kind::Object(&[
    field("allow", "Rules of which one must allow a request too.", RULES),
    field("deny", "Rules that forbid.", RULES),
]);
const WEB: &[Field] =
    &[field("maxChars", "Characters of a document that a model gets.", Kind::Whole(100, 200_000))];
