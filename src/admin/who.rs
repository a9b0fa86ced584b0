//! The name of the user behind the socket.

use std::io::Read;

/// How much of the user list is read, in bytes.
const PASSWD_BYTES_MAX: u64 = 1024 * 1024;

/// The name of the user with this id as the system lists it, else the number.
#[must_use]
pub fn user_name(uid: u32) -> String {
    let mut users = String::new();
    let read = std::fs::File::open("/etc/passwd")
        .and_then(|file| file.take(PASSWD_BYTES_MAX).read_to_string(&mut users));
    match read {
        Ok(_) => user(&users, uid),
        // The number alone still names the user.
        Err(_) => format!("uid {uid}"),
    }
}

/// The user's name in the form of passwd(5).
fn user(users: &str, uid: u32) -> String {
    let its_name = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid) && !name.is_empty()).then(|| name.to_owned())
    };
    users.lines().find_map(its_name).unwrap_or_else(|| format!("uid {uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_recorded_under_the_users_name_else_the_number() {
        let users =
            "root:x:0:0:root:/root:/bin/sh\n::7::\nbroken\nops:x:1000:1000:,,,:/home/ops:/bin/sh\n";
        assert_eq!(user(users, 0), "root");
        assert_eq!(user(users, 1000), "ops");
        assert_eq!((user(users, 7), user(users, 1)), ("uid 7".to_owned(), "uid 1".to_owned()));
    }
}
