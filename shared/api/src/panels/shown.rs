//! Results of panels. A list of which there is never anything is a [`Nothing`].

use serde::Serialize;

use crate::wire::Empty;

/// `[]`.
pub type Nothing = [(); 0];

/// Declares results that are objects with the same field names as on the wire.
macro_rules! results {
    ($($(#[$doc:meta])* $Name:ident { $($(#[$field_doc:meta])* $field:ident: $Type:ty,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Default, Serialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $Name { $($(#[$field_doc])* pub $field: $Type,)+ }
    )+};
}

results! {
    /// Questions.
    Questions {
        /// None.
        questions: Nothing,
    }
    /// Parts of the page that plugins bring.
    PluginPages {
        /// Changes with the list.
        revision: &'static str,
        /// None.
        plugins: Nothing,
        /// None.
        diagnostics: Nothing,
    }
    /// Parts of the page that plugins describe.
    PluginParts {
        /// True.
        ok: bool,
        /// None.
        descriptors: Nothing,
    }
    /// Plugins.
    Plugins {
        /// None.
        plugins: Nothing,
        /// None.
        diagnostics: Nothing,
        /// False.
        mutation_allowed: bool,
    }
    /// A canvas.
    Surface {
        /// Its name.
        surface: String,
        /// None: this gateway has none.
        plugin_surface_urls: Empty,
    }
    /// A board.
    Board {
        /// The session's key, as it was given.
        session_key: String,
        /// 0.
        revision: u32,
        /// None.
        tabs: Nothing,
        /// None.
        widgets: Nothing,
    }
    /// Projects.
    Projects {
        /// None.
        projects: Nothing,
    }
    /// Work in the background.
    Tasks {
        /// None.
        tasks: Nothing,
    }
    /// Proposed work.
    Suggestions {
        /// None.
        suggestions: Nothing,
    }
    /// An agent's progress.
    Progress {
        /// Null.
        card: Option<Empty>,
    }
    /// It was seen.
    Seen {
        /// True.
        ok: bool,
    }
    /// Accounts through which a session could publish.
    Publishing {
        /// Null.
        personal: Option<Empty>,
        /// Null.
        shared: Option<Empty>,
        /// Null.
        pending_personal: Option<Empty>,
    }
    /// Where else a session is talked about.
    Discussion {
        /// `none`.
        state: &'static str,
    }
    /// Who takes part in a session.
    Members {
        /// The session's key, as it was given.
        session_key: String,
        /// None: all who hold a token of the tenant do.
        members: Nothing,
        /// None.
        identities: Nothing,
        /// `owner`.
        role: &'static str,
        /// `shared` alone.
        allowed_visibilities: [&'static str; 1],
    }
    /// Groups of sessions.
    Groups {
        /// None.
        groups: Nothing,
        /// None.
        section_order: Nothing,
    }
    /// What new sessions of groups start with.
    GroupDefaults {
        /// None.
        defaults: Nothing,
    }
    /// Branches of a transcript.
    Branches {
        /// None.
        branches: Nothing,
    }
    /// Questions about a session.
    Companion {
        /// None.
        exchanges: Nothing,
    }
    /// Sessions of other programs.
    Catalogs {
        /// None.
        catalogs: Nothing,
    }
    /// Whether the connection is told.
    Following {
        /// True.
        subscribed: bool,
    }
    /// Voices.
    TalkCatalog {
        /// None.
        modes: Nothing,
        /// None.
        transports: Nothing,
        /// None.
        brains: Nothing,
        /// What speaks.
        speech: Voices,
        /// What listens.
        transcription: Voices,
        /// What does both at once.
        realtime: Voices,
    }
    /// One kind of voices.
    Voices {
        /// False.
        ready: bool,
        /// None.
        providers: Nothing,
    }
    /// How voices are set.
    TalkConfig {
        /// Not at all.
        config: Empty,
    }
    /// Whether answers are spoken.
    TtsStatus {
        /// False.
        enabled: bool,
        /// `off`.
        auto: &'static str,
        /// Empty.
        provider: &'static str,
        /// Null.
        persona: Option<Empty>,
        /// None.
        personas: Nothing,
        /// Null.
        fallback_provider: Option<Empty>,
        /// None.
        fallback_providers: Nothing,
        /// Of no file: the gateway's machine has none.
        prefs_path: &'static str,
        /// None.
        provider_states: Nothing,
    }
    /// What speaks.
    TtsProviders {
        /// None.
        providers: Nothing,
        /// Empty.
        active: &'static str,
    }
    /// People.
    Users {
        /// None.
        profiles: Nothing,
    }
    /// Preferences.
    Preferences {
        /// `no_durable_identity`: who calls is no person, and nothing is kept.
        status: &'static str,
    }
    /// The gateway, with the fields of its machine left neutral.
    SystemInfo {
        /// `openclawmu`.
        machine_name: &'static str,
        /// `openclawmu`.
        hostname: &'static str,
        /// `linux`.
        platform: &'static str,
        /// The gateway's version.
        release: &'static str,
        /// Empty.
        arch: &'static str,
        /// The gateway's name and version.
        os_label: String,
        /// Empty: there is none.
        node_version: &'static str,
        /// 0.
        pid: u32,
        /// Milliseconds since the gateway started.
        uptime_ms: u64,
        /// 0.
        cpu_count: u32,
        /// 0.
        memory_total_bytes: u64,
        /// 0.
        memory_free_bytes: u64,
    }
    /// What was used.
    Cost {
        /// When this was read, in milliseconds since the epoch.
        updated_at: u64,
        /// Days that were asked for.
        days: u16,
        /// Days on which something was used, oldest first.
        daily: Vec<Day>,
        /// All of them.
        totals: Used,
    }
    /// What was used on one day.
    Day {
        /// The UTC day, for example `2026-11-22`.
        date: String,
        /// What was used.
        #[serde(flatten)]
        used: Used,
    }
    /// What was used.
    Used {
        /// Input tokens, those that a provider had cached among them.
        input: u64,
        /// Output tokens.
        output: u64,
        /// 0: not counted apart.
        cache_read: u64,
        /// 0: not counted apart.
        cache_write: u64,
        /// Input and output.
        total_tokens: u64,
        /// Dollars.
        total_cost: f64,
        /// 0: not counted apart.
        input_cost: f64,
        /// 0: not counted apart.
        output_cost: f64,
        /// 0: not counted apart.
        cache_read_cost: f64,
        /// 0: not counted apart.
        cache_write_cost: f64,
        /// 0: a model without a price costs nothing.
        missing_cost_entries: u64,
    }
    /// What is left of limits.
    UsageStatus {
        /// When this was read, in milliseconds since the epoch.
        updated_at: u64,
        /// The gateway alone, as a tenant knows of no other provider; none where it has no limits.
        providers: Vec<ProviderUsage>,
    }
    /// What is left of one provider's limits.
    ProviderUsage {
        /// Its name for programs.
        provider: &'static str,
        /// Its name for people.
        display_name: &'static str,
        /// The tenant's limits that begin anew.
        windows: Vec<UsageWindow>,
    }
    /// How much of one limit is used.
    UsageWindow {
        /// Which, for example `tokens/day`.
        label: String,
        /// In per cent.
        used_percent: u64,
        /// When it begins anew, in milliseconds since the epoch.
        reset_at: u64,
    }
    /// Machines.
    Environments {
        /// None.
        environments: Nothing,
    }
    /// Checkouts.
    Worktrees {
        /// None.
        worktrees: Nothing,
    }
    /// Deeds.
    Audit {
        /// None.
        events: Nothing,
    }
    /// Secrets.
    Secrets {
        /// None.
        entries: Nothing,
    }
}
