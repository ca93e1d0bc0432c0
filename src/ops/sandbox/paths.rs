//! Landlock: which files, folders and TCP ports can still be reached. What is open already stays open.

use super::{Needs, State};
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd, RestrictionStatus,
    Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};
use std::path::Path;

/// What is asked for: files, cutting them, TCP, device controls, signals and abstract sockets (Linux 6.12). A kernel
/// that has less gives less.
const WANTED: ABI = ABI::V6;

/// What every version since the first has brought.
const BROUGHT: [&str; 6] = [
    "opening files",
    "renaming between folders",
    "cutting files",
    "TCP",
    "device controls",
    "signals and abstract sockets",
];

pub(super) fn confine(needs: &Needs, state: &mut State) {
    match restrict(needs) {
        Ok(status) => note(&status, state),
        Err(error) => state.missing.push(format!("no Landlock, files stay within reach ({error})")),
    }
}

fn note(status: &RestrictionStatus, state: &mut State) {
    let version = match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => (effective_abi as usize).min(WANTED as usize),
        LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => 0,
    };
    if version == 0 || status.ruleset == RulesetStatus::NotEnforced {
        let how = match status.landlock {
            LandlockStatus::NotEnabled => "the kernel has it switched off; start it with lsm=landlock,...",
            _ => "the kernel has none; Linux 5.13 does",
        };
        state.missing.push(format!("no Landlock, files stay within reach: {how}"));
        return;
    }
    state.in_force.push(format!("Landlock {version}"));
    if version < WANTED as usize {
        let lacks = BROUGHT[version..].join(", ");
        state.missing.push(format!("this kernel's Landlock {version} does not confine {lacks}; Linux 6.12 does"));
    }
}

fn restrict(needs: &Needs) -> Result<RestrictionStatus, RulesetError> {
    let is_abstract = needs.notifies.as_ref().is_some_and(|path| path.as_os_str().as_encoded_bytes().starts_with(b"@"));
    let scopes = if is_abstract { Scope::Signal.into() } else { Scope::from_all(WANTED) };
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(WANTED))?
        .handle_access(AccessNet::from_all(WANTED))?
        .scope(scopes)?
        .create()?;
    let within = AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::RemoveFile;
    let paths = needs.folders.iter().map(|path| (path, within));
    let paths = paths.chain(needs.written.iter().map(|path| (path, AccessFs::WriteFile | AccessFs::Truncate)));
    let paths = paths.chain(needs.read.iter().map(|path| (path, AccessFs::ReadFile.into())));
    for (path, access) in paths {
        allow(path, access, &mut rules);
    }
    for &port in &needs.listens {
        (&mut rules).add_rule(NetPort::new(port, AccessNet::BindTcp))?;
    }
    for &port in &needs.connects {
        (&mut rules).add_rule(NetPort::new(port, AccessNet::ConnectTcp))?;
    }
    rules.restrict_self()
}

/// What cannot be named in a rule is either not there, and whoever opens it will say so, or a pipe or socket under
/// `/proc/self/fd`, to which Landlock gives access without a rule.
fn allow(path: &Path, access: BitFlags<AccessFs>, rules: &mut landlock::RulesetCreated) {
    if let Ok(file) = PathFd::new(path) {
        let _ = rules.add_rule(PathBeneath::new(file, access));
    }
}
