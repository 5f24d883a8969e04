//! Files on their way when the supervisor or a worker is killed: each is seen once and whole, or where the
//! network doubles, not at all and said to be unknown.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::networks::Fate;

use super::rows::Net;
use super::{Scene, in_talk, waiting};

/// What is in each file, beside what tells it from others: also what could end it.
const CONTENT: &[u8] = b"\x00\xff\r\n--a file\r\n\r\n";

/// What is answered.
const ANSWER: &str = "MEDIA:report.txt";

/// What is seen.
const FILE: &str = "report.txt";

fn content(talk: usize) -> Vec<u8> {
    [CONTENT, in_talk(FILE, talk).as_bytes()].concat()
}

impl<N: Net> Scene<N> {
    /// With a file for each conversation in the workspace of whoever it is.
    async fn set_with_files() -> Self {
        let scene = Self::set().await;
        for (talk, whose) in N::TALKS.iter().enumerate() {
            let (tenant, name) = (&scene.tenants[*whose], in_talk(FILE, talk));
            scene.ground.place(tenant, &name, &content(talk)).await;
        }
        if let Some(call) = N::FILE {
            scene.between.means(call);
        }
        scene
    }

    /// After it was all over: the files are there, whole, and what is said then is answered.
    async fn goes_on_with(&mut self, files: &[&str], is_unknown: bool) {
        self.goes_on(files, is_unknown).await;
        for talk in 0..N::TALKS.len() {
            let wanted = vec![content(talk); files.len()];
            assert!(self.net.files(talk).await == wanted, "{files:?} are not as they were sent");
        }
    }
}

async fn a_file_on_its_way_that_does_not_arrive<N: Net>() {
    let mut scene = Scene::<N>::set_with_files().await;
    scene.say(waiting, ANSWER).await;
    scene.asks(1).await;
    scene.between.turn(Fate::Held).await;
    scene.go_on(2);
    scene.between.has_met(N::TALKS.len()).await;
    scene.shows(&[]).await;
    scene.between.turn(Fate::Passed).await;
    scene.kill();
    let shown: &[&str] = if N::DOUBLES { &[] } else { &[FILE] };
    scene.shows(shown).await;
    scene.goes_on_with(shown, N::DOUBLES).await;
}

async fn a_file_that_has_arrived_and_nobody_heard_of_it<N: Net>() {
    let mut scene = Scene::<N>::set_with_files().await;
    scene.say(waiting, ANSWER).await;
    scene.asks(1).await;
    scene.between.turn(Fate::Unanswered).await;
    scene.go_on(2);
    scene.shows(&[FILE]).await;
    scene.between.turn(Fate::Passed).await;
    scene.kill();
    scene.goes_on_with(&[FILE], N::DOUBLES).await;
}

async fn a_file_that_waits_while_its_worker_is_killed<N: Net>() {
    let mut scene = Scene::<N>::set_with_files().await;
    scene.say(waiting, ANSWER).await;
    scene.asks(1).await;
    scene.between.turn(Fate::Later).await;
    scene.go_on(2);
    scene.between.has_met(N::TALKS.len()).await;
    scene.outbox_has("ready").await;
    scene.shows(&[]).await;
    for tenant in &scene.tenants {
        let worker = Pid::from_raw(scene.ground.gateway.worker_pid(tenant));
        kill(worker, Signal::SIGKILL).unwrap();
    }
    scene.between.turn(Fate::Passed).await;
    scene.shows(&[FILE]).await;
    scene.goes_on_with(&[FILE], false).await;
}

/// The tests of each network whose calls are told to wait, and of pages, which are not called.
macro_rules! over {
    ($($name:ident)*; $($page:ident)*) => {
        $(mod $name {
            type Row = super::super::rows::$name::Row;

            over!(each);

            #[tokio::test(flavor = "multi_thread")]
            async fn a_file_waits_and_its_worker_is_killed() {
                super::a_file_that_waits_while_its_worker_is_killed::<Row>().await;
            }
        })*
        $(mod $page {
            type Row = super::super::rows::$page::Row;

            over!(each);
        })*
    };
    (each) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn a_file_that_does_not_arrive_is_brought_once_more_or_said_to_be_unknown() {
            super::a_file_on_its_way_that_does_not_arrive::<Row>().await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn a_file_of_which_nobody_heard_is_there_once() {
            super::a_file_that_has_arrived_and_nobody_heard_of_it::<Row>().await;
        }
    };
}

over!(discord matrix slack_events telegram webhook; webchat);
