//! What the official browser UI and command line ask for on their way: panels of things that a
//! tenant of this gateway does not have, answered truthfully as none, and two that it has.
//!
//! Nothing here starts a worker.

mod asked;
mod shown;

pub use asked::*;
pub use shown::*;

methods! { Supervisor;
    /// Panels of clients.
    pub trait Panels {
        /// Actions of plugins that wait for somebody's consent.
        "plugin.approval.list" [Approvals unrecorded] fn plugin_approvals(NoParams) -> Nothing;
        /// Changes of the gateway by an agent that wait for somebody's consent.
        "openclaw.approval.list" [Approvals unrecorded] fn gateway_approvals(NoParams) -> Nothing;
        /// Questions of agents that wait for an answer.
        "question.list" [Read] fn questions(NoParams) -> Questions;
        /// Parts of the page that plugins bring.
        "plugins.controlUi.list" [Read] fn plugin_pages(NoParams) -> PluginPages;
        /// Parts of the page that plugins describe.
        "plugins.uiDescriptors" [Read] fn plugin_parts(NoParams) -> PluginParts;
        /// Plugins.
        "plugins.list" [Read] fn plugins(NoParams) -> Plugins;
        /// A canvas of plugins.
        "plugin.surface.refresh" [Read] fn surface(SurfaceParams) -> Surface;
        /// The board of a session.
        "board.get" [Read] fn board(SessionParams) -> Board;
        /// Source projects.
        "projects.list" [Read] fn projects(ProjectsParams) -> Projects;
        /// Work in the background beside the runs of sessions.
        "tasks.list" [Read] fn tasks(TasksParams) -> Tasks;
        /// Work that an agent proposes.
        "taskSuggestions.list" [Read] fn suggestions(SuggestionsParams) -> Suggestions;
        /// What an agent says of its progress.
        "progressCard.get" [Read] fn progress(CardParams) -> Progress;
        /// Whether the window is looked at. No effect: nothing here costs more when it is.
        "sessions.observer.visibility" [Read] fn visibility(VisibilityParams) -> Seen;
        /// Accounts through which a session could publish.
        "sessions.github.options" [Read] fn publishing(PublishingParams) -> Publishing;
        /// Where else a session is talked about.
        "session.discussion.info" [Read] fn discussion(SessionParams) -> Discussion;
        /// Who takes part in a session beside the holders of the tenant's tokens.
        "session.members.listEvidence" [Read] fn members(SessionParams) -> Members;
        /// Groups of sessions.
        "sessions.groups.list" [Read] fn groups(NoParams) -> Groups;
        /// What a new session of a group starts with.
        "sessions.groups.defaults" [Write] fn group_defaults(NoParams) -> GroupDefaults;
        /// Other branches of a session's transcript.
        "sessions.branches.list" [Read] fn branches(SessionParams) -> Branches;
        /// Questions about a session that were asked beside it.
        "sessions.companion.state" [Read] fn companion(SessionParams) -> Companion;
        /// Sessions of other programs.
        "sessions.catalog.list" [Read] fn catalogs(CatalogsParams) -> Catalogs;
        /// Tells of pull requests of sessions: there are none to tell of.
        "controlUi.sessionPullRequests.subscribe" [Read] fn pull_requests(PullRequestsParams) -> Following;
        /// Voices.
        "talk.catalog" [Read] fn talk_catalog(TalkParams) -> TalkCatalog;
        /// How voices are set.
        "talk.config" [Read] fn talk_config(TalkConfigParams) -> TalkConfig;
        /// Whether answers are spoken.
        "tts.status" [Read] fn tts_status(NoParams) -> TtsStatus;
        /// What speaks.
        "tts.providers" [Read] fn tts_providers(NoParams) -> TtsProviders;
        /// People with an account: a tenant has tokens instead.
        "users.list" [Read] fn users(NoParams) -> Users;
        /// Preferences of the person who calls: a token is no person, and the page keeps its own.
        "users.prefs.get" [Read] fn preferences(PreferencesParams) -> Preferences;
        /// See `users.prefs.get`.
        "users.prefs.set" [Write] fn set_preferences(SetPreferencesParams) -> Preferences;
        /// The gateway's version and for how long it runs. Of its machine nothing is told.
        "system.info" [Read] fn system_info(NoParams) -> SystemInfo;
        /// What the tenant has used, by UTC day.
        "usage.cost" [Read] fn usage_cost(CostParams) -> Cost;
        /// What is left of subscriptions: the operator's are none of the tenant's business.
        "usage.status" [Read] fn usage_status(NoParams) -> UsageStatus;
        /// Machines that agents could work on.
        "environments.list" [Read] fn environments(EnvironmentsParams) -> Environments;
        /// Checkouts that agents work in.
        "worktrees.list" [Read] fn worktrees(NoParams) -> Worktrees;
        /// What agents did.
        "audit.list" [Read] fn audit(AuditParams) -> Audit;
        /// What agents and chat peers did.
        "audit.activity.list" [Read] fn activity(ActivityParams) -> Audit;
        /// Secrets by name, which skills and tools could use.
        "secrets.store.list" [Admin unrecorded] fn secrets(NoParams) -> Secrets;
    }
}
