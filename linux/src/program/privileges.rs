//! `--user`: privileges are given up once everything that needs them is open, by all threads, and for good.

use super::Failure;
use core::fmt::Display;
use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User, getgroups, setgroups, setresgid, setresuid};
use std::io;

/// Whom to become, as typed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Who {
    user: String,
    group: Option<String>,
}

impl Who {
    /// Reads `NAME[:GROUP]`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let wrong = |name: &str| name.is_empty() || name.contains(':');
        if wrong(user) || group.is_some_and(wrong) {
            return Err("must be a user, or USER:GROUP, by name or number".into());
        }
        Ok(Self {
            user: user.into(),
            group: group.map(Into::into),
        })
    }

    fn failure(&self, why: impl Display) -> Failure {
        let group = self.group.as_deref();
        let group = group.map_or_else(String::new, |group| format!(":{group}"));
        Failure::System(format!("--user {}{group}: {why}", self.user))
    }

    /// Looks them up, and makes sure that no privilege is gained from here on. Before there are other threads.
    pub(crate) fn find(&self) -> Result<Account, Failure> {
        let (uid, own) = self.user()?;
        let gid = match (&self.group, own) {
            (Some(name), _) => self.group(name)?,
            (None, Some(own)) => own,
            (None, None) => {
                let why = "a number that is nobody's has no group; write UID:GID";
                return Err(self.failure(why));
            }
        };
        if uid.is_root() {
            let why = "is root, so that nothing would be given up; name another user";
            return Err(self.failure(why));
        }
        rustix::thread::set_no_new_privs(true).map_err(|errno| {
            self.failure(format_args!("no_new_privs: errno {}", errno.raw_os_error()))
        })?;
        let who = self.clone();
        Ok(Account { who, uid, gid })
    }

    /// The user's number, and the group that the user is in.
    fn user(&self) -> Result<(Uid, Option<Gid>), Failure> {
        let unknown =
            |errno: Errno| self.failure(format_args!("cannot look the user up: {}", shown(errno)));
        if let Some(user) = User::from_name(&self.user).map_err(unknown)? {
            return Ok((user.uid, Some(user.gid)));
        }
        let Ok(number) = self.user.parse() else {
            return Err(self.failure("there is no such user; add it, or name another"));
        };
        let user = User::from_uid(Uid::from_raw(number)).map_err(unknown)?;
        Ok((Uid::from_raw(number), user.map(|user| user.gid)))
    }

    fn group(&self, name: &str) -> Result<Gid, Failure> {
        let unknown =
            |errno: Errno| self.failure(format_args!("cannot look the group up: {}", shown(errno)));
        if let Some(group) = Group::from_name(name).map_err(unknown)? {
            return Ok(group.gid);
        }
        let number = name.parse().map(Gid::from_raw);
        number.map_err(|_| self.failure("there is no such group; add it, or name another"))
    }
}

/// Whom to become, as the system knows them.
#[derive(Debug)]
pub(crate) struct Account {
    who: Who,
    uid: Uid,
    gid: Gid,
}

impl Account {
    /// Becomes it, with no other group, and makes sure that there is no way back. The C library does it in every thread of
    /// the process (`nptl(7)`).
    pub(crate) fn assume(&self) -> Result<(), Failure> {
        let (uid, gid) = (self.uid, self.gid);
        let failed = |call: &'static str| {
            move |errno| {
                let remedy = if errno == Errno::EPERM {
                    "; start as root, or leave --user out"
                } else {
                    ""
                };
                self.who
                    .failure(format_args!("{call}: {}{remedy}", shown(errno)))
            }
        };
        setgroups(&[]).map_err(failed("setgroups"))?;
        setresgid(gid, gid, gid).map_err(failed("setresgid"))?;
        setresuid(uid, uid, uid).map_err(failed("setresuid"))?;
        let root = Uid::from_raw(0);
        let back = setresuid(root, root, root).is_ok();
        if back || !getgroups().map_err(failed("getgroups"))?.is_empty() {
            return Err(self
                .who
                .failure("this kernel lets privileges be taken back"));
        }
        Ok(())
    }
}

/// As the C library says it: the texts of nix would be a third of this program's own.
fn shown(errno: Errno) -> io::Error {
    errno.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_may_have_a_group() {
        for (text, user, group) in [
            ("nobody", "nobody", None),
            ("nobody:nogroup", "nobody", Some("nogroup")),
            ("65534:65534", "65534", Some("65534")),
        ] {
            let who = Who::parse(text).expect(text);
            assert_eq!((who.user.as_str(), who.group.as_deref()), (user, group));
        }
        for wrong in ["", ":", "nobody:", ":nogroup", "a:b:c"] {
            assert!(Who::parse(wrong).is_err_and(|why| why.contains("USER:GROUP")));
        }
    }

    #[test]
    fn who_is_unknown_or_root_is_refused() {
        for (text, part) in [
            ("no-such-user-here", "no such user"),
            ("root", "nothing would be given up"),
            ("0:0", "nothing would be given up"),
            ("4000000000", "UID:GID"),
            ("65534:no-such-group-here", "no such group"),
        ] {
            let found = Who::parse(text).expect(text).find();
            let Err(Failure::System(why)) = found else {
                panic!("{found:?}");
            };
            assert!(why.starts_with(&format!("--user {text}: ")), "{why}");
            assert!(why.contains(part), "{why}");
        }
    }
}
