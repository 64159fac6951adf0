//! `--user`: privileges are given up once everything that needs them is open, by all threads, and for good.

use super::Failure;
use core::fmt::Display;
use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User, getgroups, setgroups, setresgid, setresuid};
use std::io;

/// The user and group to become, as typed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    user: String,
    group: Option<String>,
}

impl Identity {
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

    /// Makes sure that no privilege is gained from here on. Before there are other threads: each has a flag of its own.
    pub(crate) fn gain_nothing(&self) -> Result<(), Failure> {
        rustix::thread::set_no_new_privs(true).map_err(|errno| {
            self.failure(format_args!("no_new_privs: errno {}", errno.raw_os_error()))
        })
    }

    /// Resolves them.
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
        let identity = self.clone();
        Ok(Account { identity, uid, gid })
    }

    /// The user's number, and the group that the user is in. A number needs no entry anywhere: there may be no `/etc/passwd`.
    fn user(&self) -> Result<(Uid, Option<Gid>), Failure> {
        if let Some(number) = number(&self.user) {
            let uid = Uid::from_raw(number);
            let user = match &self.group {
                Some(_) => None,
                None => User::from_uid(uid).ok().flatten(),
            };
            return Ok((uid, user.map(|user| user.gid)));
        }
        let user = user(&self.user).map_err(|why| self.failure(why))?;
        Ok((user.uid, Some(user.gid)))
    }

    fn group(&self, name: &str) -> Result<Gid, Failure> {
        group(name).map_err(|why| self.failure(why))
    }
}

/// A number of a user or a group, in digits only.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// The user of this name, or why there is none.
fn user(name: &str) -> Result<User, String> {
    match User::from_name(name) {
        Ok(Some(user)) => Ok(user),
        Ok(None) => Err("there is no such user; add it, or name another".into()),
        Err(errno) => Err(format!("cannot look the user up: {}", shown(errno))),
    }
}

/// The group of this name or number, or why there is none.
fn group(name: &str) -> Result<Gid, String> {
    if let Some(number) = number(name) {
        return Ok(Gid::from_raw(number));
    }
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid),
        Ok(None) => Err("there is no such group; add it, or name another".into()),
        Err(errno) => Err(format!("cannot look the group up: {}", shown(errno))),
    }
}

/// The owner of a socket file, as typed: `USER`, `USER:GROUP` or `:GROUP`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Owner {
    user: Option<String>,
    group: Option<String>,
}

impl Owner {
    /// Parses it; the error names what would be right.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let user = (!user.is_empty()).then_some(user);
        let wrong = group.is_some_and(|group| group.is_empty() || group.contains(':'));
        if wrong || (user.is_none() && group.is_none()) {
            return Err("must be USER, USER:GROUP or :GROUP, by name or number".into());
        }
        Ok(Self {
            user: user.map(Into::into),
            group: group.map(Into::into),
        })
    }

    /// Their numbers.
    pub(crate) fn find(&self) -> Result<(Option<u32>, Option<u32>), Failure> {
        let failed =
            |name: &str, why: String| Failure::System(format!("--socket-owner {name}: {why}"));
        let uid = |name: &String| match number(name) {
            Some(number) => Ok(number),
            None => user(name)
                .map(|user| user.uid.as_raw())
                .map_err(|why| failed(name, why)),
        };
        let gid = |name: &String| {
            group(name)
                .map(Gid::as_raw)
                .map_err(|why| failed(name, why))
        };
        Ok((
            self.user.as_ref().map(uid).transpose()?,
            self.group.as_ref().map(gid).transpose()?,
        ))
    }
}

/// The user and group to become, as ids.
#[derive(Debug)]
pub(crate) struct Account {
    identity: Identity,
    uid: Uid,
    gid: Gid,
}

impl Account {
    /// Becomes it, without supplementary groups, and checks that privileges cannot be regained. The C library does it
    /// in every thread of the process (`nptl(7)`).
    pub(crate) fn assume(&self) -> Result<(), Failure> {
        let (uid, gid) = (self.uid, self.gid);
        let failed = |call: &'static str| {
            move |errno| {
                let remedy = if errno == Errno::EPERM {
                    "; start as root, or leave --user out"
                } else {
                    ""
                };
                self.identity
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
                .identity
                .failure("this kernel lets privileges be taken back"));
        }
        Ok(())
    }
}

/// The C library's text: the texts of nix would be a third of this program's own.
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
            let identity = Identity::parse(text).expect(text);
            assert_eq!(
                (identity.user.as_str(), identity.group.as_deref()),
                (user, group)
            );
        }
        for wrong in ["", ":", "nobody:", ":nogroup", "a:b:c"] {
            assert!(Identity::parse(wrong).is_err_and(|why| why.contains("USER:GROUP")));
        }
    }

    #[test]
    fn an_owner_is_a_user_or_a_group_or_both() {
        for (text, numbers) in [
            ("root", (Some(0), None)),
            ("root:root", (Some(0), Some(0))),
            (":root", (None, Some(0))),
            (
                "4000000000:4000000001",
                (Some(4_000_000_000), Some(4_000_000_001)),
            ),
        ] {
            assert_eq!(
                Owner::parse(text).expect(text).find(),
                Ok(numbers),
                "{text}"
            );
        }
        for wrong in ["", ":", "root:", "a:b:c"] {
            assert!(Owner::parse(wrong).is_err_and(|why| why.contains("USER:GROUP")));
        }
        let unknown = Owner::parse("no-such-user-here").expect("an owner").find();
        let Err(Failure::System(why)) = unknown else {
            panic!("{unknown:?}");
        };
        assert!(
            why.starts_with("--socket-owner no-such-user-here: there is no such user"),
            "{why}"
        );
    }

    #[test]
    fn an_unknown_user_or_root_is_refused() {
        for (text, part) in [
            ("no-such-user-here", "no such user"),
            ("root", "nothing would be given up"),
            ("0:0", "nothing would be given up"),
            ("4000000000", "UID:GID"),
            ("65534:no-such-group-here", "no such group"),
        ] {
            let found = Identity::parse(text).expect(text).find();
            let Err(Failure::System(why)) = found else {
                panic!("{found:?}");
            };
            assert!(why.starts_with(&format!("--user {text}: ")), "{why}");
            assert!(why.contains(part), "{why}");
        }
    }
}
