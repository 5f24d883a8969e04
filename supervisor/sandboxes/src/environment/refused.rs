//! Names of variables that no command may set, each with what it would change.

/// What a variable would change beside the program's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Harm {
    /// It loads code into programs.
    Loads,
    /// It makes shells run or read something else.
    Shell,
    /// It says who and where the program is.
    Place,
    /// It leads another way out.
    Network,
    /// It is the gateway's own.
    Ours,
}

impl Harm {
    pub(super) const fn why(self) -> &'static str {
        match self {
            Self::Loads => "it loads code or chooses programs",
            Self::Shell => "it changes what shells run",
            Self::Place => "the sandbox sets it",
            Self::Network => "the way out is the sandbox's to set",
            Self::Ours => "it is the gateway's own",
        }
    }
}

/// Names that are refused, in any case of letters. A `*` at an end stands for anything.
const REFUSED: &[(&str, Harm)] = &[
    ("PATH", Harm::Loads),
    ("LD_*", Harm::Loads),
    ("DYLD_*", Harm::Loads),
    ("GCONV_PATH", Harm::Loads),
    ("GLIBC_TUNABLES", Harm::Loads),
    ("MALLOC_*", Harm::Loads),
    ("LOCPATH", Harm::Loads),
    ("NLSPATH", Harm::Loads),
    ("NODE_OPTIONS", Harm::Loads),
    ("NODE_PATH", Harm::Loads),
    ("NODE_EXTRA_CA_CERTS", Harm::Loads),
    ("PYTHONPATH", Harm::Loads),
    ("PYTHONSTARTUP", Harm::Loads),
    ("PYTHONHOME", Harm::Loads),
    ("PYTHONINSPECT", Harm::Loads),
    ("PYTHONUSERBASE", Harm::Loads),
    ("PYTHONBREAKPOINT", Harm::Loads),
    ("PYTHONWARNINGS", Harm::Loads),
    ("PERL5LIB", Harm::Loads),
    ("PERLLIB", Harm::Loads),
    ("PERL5OPT", Harm::Loads),
    ("PERL5DB", Harm::Loads),
    ("RUBYOPT", Harm::Loads),
    ("RUBYLIB", Harm::Loads),
    ("GEM_*", Harm::Loads),
    ("BUNDLE_GEMFILE", Harm::Loads),
    ("LUA_PATH*", Harm::Loads),
    ("LUA_CPATH*", Harm::Loads),
    ("LUA_INIT*", Harm::Loads),
    ("PHPRC", Harm::Loads),
    ("PHP_INI_SCAN_DIR", Harm::Loads),
    ("JAVA_TOOL_OPTIONS", Harm::Loads),
    ("_JAVA_OPTIONS", Harm::Loads),
    ("JDK_JAVA_OPTIONS", Harm::Loads),
    ("CLASSPATH", Harm::Loads),
    ("RUSTC_WRAPPER", Harm::Loads),
    ("RUSTC_WORKSPACE_WRAPPER", Harm::Loads),
    ("MAKEFLAGS", Harm::Loads),
    ("MAKEFILES", Harm::Loads),
    ("GIT_SSH*", Harm::Loads),
    ("GIT_EXEC_PATH", Harm::Loads),
    ("GIT_CONFIG*", Harm::Loads),
    ("GIT_ASKPASS", Harm::Loads),
    ("GIT_EDITOR", Harm::Loads),
    ("GIT_SEQUENCE_EDITOR", Harm::Loads),
    ("GIT_PAGER", Harm::Loads),
    ("GIT_PROXY_COMMAND", Harm::Loads),
    ("GIT_EXTERNAL_DIFF", Harm::Loads),
    ("GIT_TEMPLATE_DIR", Harm::Loads),
    ("SSH_ASKPASS", Harm::Loads),
    ("SUDO_ASKPASS", Harm::Loads),
    ("EDITOR", Harm::Loads),
    ("VISUAL", Harm::Loads),
    ("PAGER", Harm::Loads),
    ("MANPAGER", Harm::Loads),
    ("BROWSER", Harm::Loads),
    ("LESSOPEN", Harm::Loads),
    ("LESSCLOSE", Harm::Loads),
    ("TERMINFO*", Harm::Loads),
    ("OPENSSL_CONF", Harm::Loads),
    ("OPENSSL_ENGINES", Harm::Loads),
    ("OPENSSL_MODULES", Harm::Loads),
    ("GTK_MODULES", Harm::Loads),
    ("QT_PLUGIN_PATH", Harm::Loads),
    ("BASH_ENV", Harm::Shell),
    ("BASH_FUNC_*", Harm::Shell),
    ("BASH_XTRACEFD", Harm::Shell),
    ("ENV", Harm::Shell),
    ("ZDOTDIR", Harm::Shell),
    ("SHELLOPTS", Harm::Shell),
    ("BASHOPTS", Harm::Shell),
    ("PS0", Harm::Shell),
    ("PS1", Harm::Shell),
    ("PS2", Harm::Shell),
    ("PS4", Harm::Shell),
    ("PROMPT_COMMAND", Harm::Shell),
    ("IFS", Harm::Shell),
    ("CDPATH", Harm::Shell),
    ("GLOBIGNORE", Harm::Shell),
    ("HISTFILE", Harm::Shell),
    ("INPUTRC", Harm::Shell),
    ("HOME", Harm::Place),
    ("USER", Harm::Place),
    ("LOGNAME", Harm::Place),
    ("SHELL", Harm::Place),
    ("TMPDIR", Harm::Place),
    ("PWD", Harm::Place),
    ("OLDPWD", Harm::Place),
    ("XDG_*", Harm::Place),
    ("*_PROXY", Harm::Network),
    ("RES_OPTIONS", Harm::Network),
    ("HOSTALIASES", Harm::Network),
    ("LOCALDOMAIN", Harm::Network),
    ("OPENCLAW*", Harm::Ours),
];

/// What a variable of this name would change.
pub(super) fn harm(name: &str) -> Option<Harm> {
    REFUSED.iter().find(|(pattern, _)| matches(pattern, name)).map(|(_, harm)| *harm)
}

/// Whether `name` is what `pattern` says, in any case of letters. A `*` at one end of the pattern stands
/// for anything.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (name, pattern) = (name.to_ascii_uppercase(), pattern.to_ascii_uppercase());
    if let Some(end) = pattern.strip_prefix('*') {
        name.ends_with(end)
    } else if let Some(begin) = pattern.strip_suffix('*') {
        name.starts_with(begin)
    } else {
        name == pattern
    }
}
