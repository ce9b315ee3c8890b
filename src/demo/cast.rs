//! The people of the demo.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use super::play::DemoError;
use crate::clock::Env;
use crate::domain::user::{Actor, Role, Scope};
use crate::secret::password::PlainPassword;
use crate::secret::token::PlainToken;
use crate::service::Services;
use crate::service::api_tokens::NewApiToken;
use crate::service::users::NewUser;

/// Letters and digits that nobody mistakes for each other: 32 of them, so that each byte chooses evenly.
const READABLE: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Somebody who does something in the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    Priya,
    Tomasz,
    Daniel,
    Marta,
    Ines,
    Aiko,
    Admin,
}

impl Who {
    const ALL: [Self; 7] =
        [Self::Priya, Self::Tomasz, Self::Daniel, Self::Marta, Self::Ines, Self::Aiko, Self::Admin];

    const fn name(self) -> &'static str {
        match self {
            Self::Priya => "Priya Nair",
            Self::Tomasz => "Tomasz Wren",
            Self::Daniel => "Daniel Okafor",
            Self::Marta => "Marta Kovács",
            Self::Ines => "Ines Duarte",
            Self::Aiko => "Aiko Brandt",
            Self::Admin => "Robin Hale",
        }
    }

    const fn email(self) -> &'static str {
        match self {
            Self::Priya => "priya.nair@example.com",
            Self::Tomasz => "tomasz.wren@example.com",
            Self::Daniel => "daniel.okafor@example.com",
            Self::Marta => "marta.kovacs@example.com",
            Self::Ines => "ines.duarte@example.com",
            Self::Aiko => "aiko.brandt@example.com",
            Self::Admin => "admin@example.com",
        }
    }

    const fn role(self) -> Role {
        match self {
            Self::Priya | Self::Tomasz => Role::Engineer,
            Self::Daniel | Self::Marta | Self::Ines => Role::Board,
            Self::Aiko => Role::Auditor,
            Self::Admin => Role::Admin,
        }
    }
}

/// Somebody to sign in as. The password is shown once and kept nowhere in the clear.
#[derive(Clone)]
pub struct Person {
    pub name: &'static str,
    pub email: &'static str,
    pub password: String,
    pub role: Role,
}

/// Everybody, signed in, and the pipeline that acts for Priya.
pub(super) struct Cast {
    pub people: Vec<Person>,
    actors: BTreeMap<Who, (Actor, PlainPassword)>,
    pub pipeline: Actor,
    pub pipeline_token: PlainToken,
}

impl Cast {
    /// Adds everybody at the command line, has them choose a password and sign in. The auditor only reads, so she
    /// hasn't signed in yet.
    pub async fn assemble(services: &Services, env: &Env) -> Result<Self, DemoError> {
        let mut people = Vec::new();
        let mut actors = BTreeMap::new();
        for who in Who::ALL {
            let password = password(env);
            let new = NewUser {
                email: who.email().to_owned(),
                name: who.name().to_owned(),
                roles: [who.role()].into(),
                person: None,
            };
            let created = services.add_user(None, new, None).await?;
            services.enrol(created.enrolment.reveal(), password.clone()).await?;
            if who != Who::Aiko {
                let typed = PlainPassword::given(password.clone());
                let desk = IpAddr::V4(Ipv4Addr::LOCALHOST);
                let actor = services.sign_in(who.email(), typed.clone(), desk, "demo").await?.actor;
                actors.insert(who, (actor, typed));
            }
            people.push(Person { name: who.name(), email: who.email(), password, role: who.role() });
        }
        let (priya, _) = actors.get(&Who::Priya).ok_or(DemoError::Missing("Priya"))?;
        let new = NewApiToken {
            name: "release pipeline".to_owned(),
            scopes: Scope::ALL.iter().copied().collect(),
            expires_at: None,
        };
        let (_, pipeline_token) = services.create_api_token(priya, new).await?;
        let pipeline = services.bearer_actor(pipeline_token.reveal()).await?;
        Ok(Self { people, actors, pipeline, pipeline_token })
    }

    pub fn actor(&self, who: Who) -> Result<&Actor, DemoError> {
        self.actors.get(&who).map(|(actor, _)| actor).ok_or(DemoError::Missing(who.name()))
    }

    pub fn password(&self, who: Who) -> Result<&PlainPassword, DemoError> {
        self.actors.get(&who).map(|(_, password)| password).ok_or(DemoError::Missing(who.name()))
    }
}

/// Three groups of five characters: 75 bits.
fn password(env: &Env) -> String {
    let mut password = String::with_capacity(17);
    for (at, byte) in env.bytes::<15>().into_iter().enumerate() {
        if at > 0 && at % 5 == 0 {
            password.push('-');
        }
        password.push(char::from(READABLE[usize::from(byte % 32)]));
    }
    password
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_long_random_and_easy_to_type() {
        let env = Env::system();
        let (one, other) = (password(&env), password(&env));
        assert_ne!(one, other);
        assert_eq!(one.len(), 17);
        let distinct: std::collections::BTreeSet<_> = READABLE.iter().collect();
        assert_eq!(distinct.len(), 32, "a character that comes twice is chosen twice as often");
        assert!(PlainPassword::chosen(one, "priya.nair@example.com").is_ok());
    }
}
