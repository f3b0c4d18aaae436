//! The daily job of this machine: a crontab line, a service and timer of systemd, or a CronJob of Kubernetes.
//!
//! Local times between 00:00 and 04:00 are skipped or repeated when daylight-saving time begins or ends, depending on the zone. The
//! crontab, which knows only local time, uses 04:17. The others use UTC, because a snapshot has the UTC date of its start.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::answers::{Answers, SignIn};
use super::text::shell_word;
use crate::cli::Scheduler;

/// What an operator puts where, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schedule {
    /// Commands and remarks before the texts.
    pub(super) steps: Vec<String>,
    /// The texts, each with its place.
    pub(super) texts: Vec<(String, String)>,
    /// Commands after them.
    pub(super) last_steps: Vec<String>,
}

/// Where the job runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine {
    /// The program that the job starts.
    pub(super) program: PathBuf,
    /// The user that runs the job.
    pub(super) user: String,
}

impl Schedule {
    pub(super) fn of(scheduler: Scheduler, answers: &Answers, machine: &Machine, env_file: &Path) -> Self {
        match scheduler {
            Scheduler::Cron => cron(answers, machine, env_file),
            Scheduler::Systemd => systemd(answers, machine),
            Scheduler::Kubernetes => kubernetes(answers),
        }
    }

    /// For a terminal or a file: everything but the texts is a comment.
    pub(super) fn plain(&self) -> String {
        let comments = |steps: &[String]| steps.iter().map(|step| format!("# {step}\n")).collect::<String>();
        let texts = self.texts.iter().map(|(place, text)| format!("# {place}\n{text}\n"));
        format!("{}{}{}", comments(&self.steps), texts.collect::<String>(), comments(&self.last_steps))
    }

    pub(super) fn json(&self) -> Value {
        let texts = self.texts.iter().map(|(place, text)| json!({ "place": place, "text": text }));
        json!({ "steps": self.steps, "texts": texts.collect::<Vec<_>>(), "last_steps": self.last_steps })
    }
}

fn cron(answers: &Answers, machine: &Machine, env_file: &Path) -> Schedule {
    // A newline is `%` to cron, unless it is escaped.
    let word = |path: &Path| shell_word(&path.to_string_lossy()).replace('%', "\\%");
    let line = format!(
        "17 4 * * *  set -a && . {} && {} --config {} --store {} --quiet sync\n",
        word(env_file),
        word(&machine.program),
        word(&answers.config_file),
        word(&answers.store)
    );
    Schedule {
        steps: Vec::new(),
        texts: vec![(format!("`crontab -e` of user {}", machine.user), line)],
        last_steps: Vec::new(),
    }
}

fn systemd(answers: &Answers, machine: &Machine) -> Schedule {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut settings = String::new();
    let mut set = |name: &str, value: &str| {
        settings.push_str(&format!("Environment={}\n", unit_word(&format!("{name}={value}"))));
    };
    set("BOXSEAT_STORE", &text(&answers.store));
    if let Some(id) = &answers.enterprise_id {
        set("BOXSEAT_ENTERPRISE_ID", id);
    }
    match &answers.sign_in {
        SignIn::Jwt(file) => settings.push_str(&load("boxseat-jwt-config", file)),
        SignIn::Client { id, secret_file } => {
            match id {
                Some(id) => set("BOXSEAT_CLIENT_ID", id),
                None => settings.push_str("#Environment=BOXSEAT_CLIENT_ID=\n"),
            }
            let example = Path::new("/etc/boxseat/client-secret");
            let line = load("boxseat-client-secret", secret_file.as_deref().unwrap_or(example));
            settings.push_str(&if secret_file.is_some() { line } else { format!("#{line}") });
        }
        SignIn::Unnamed => settings.push_str("# Credentials: the JSON file of an application with a key pair.\n#LoadCredential=boxseat-jwt-config:/etc/boxseat/1234567_abcdefgh_config.json\n"),
    }
    let homes = ["/home", "/root", "/run/user"];
    let is_home = |path: &Path| homes.iter().any(|home| path.starts_with(home));
    let is_in_home =
        [&answers.store, &answers.config_file, &machine.program].iter().any(|path| is_home(path));
    let command_word = |path: &Path| unit_word(&text(path)).replace('$', "$$");
    let unit = SERVICE
        .replace("@PROGRAM@", &command_word(&machine.program))
        .replace("@CONFIG@", &command_word(&answers.config_file))
        .replace("@USER@", &machine.user)
        .replace("@STORE@", &unit_word(&text(&answers.store)))
        .replace("@HOME@", if is_in_home { "read-only" } else { "yes" })
        .replace("@SETTINGS@", &settings);
    let store = shell_word(&text(&answers.store));
    let user = shell_word(&machine.user);
    Schedule {
        steps: vec![
            format!("id {user} || useradd --system --user-group --home-dir /nonexistent {user}"),
            format!("install -d -m 0750 -o {user} -g \"$(id -gn {user})\" {store}"),
        ],
        texts: vec![
            ("/etc/systemd/system/boxseat.service".to_owned(), unit),
            ("/etc/systemd/system/boxseat.timer".to_owned(), TIMER.to_owned()),
        ],
        last_steps: vec!["systemctl daemon-reload && systemctl enable --now boxseat.timer".to_owned()],
    }
}

/// `LoadCredential=`: systemd reads the file as root, and only the service can read the copy.
fn load(name: &str, file: &Path) -> String {
    format!("LoadCredential={name}:{}\n", file.to_string_lossy().replace('%', "%%"))
}

/// A word of a unit file. `%` begins a specifier.
fn unit_word(text: &str) -> String {
    let text = text.replace('%', "%%");
    if !text.contains([' ', '\t', '"', '\'', '\\']) {
        return text;
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

const SERVICE: &str = "\
[Unit]
Description=Snapshot of the users and licences of a Box enterprise
Wants=network-online.target
After=network-online.target time-sync.target
# At most three starts in six hours, see Restart.
StartLimitIntervalSec=6h
StartLimitBurst=3

[Service]
Type=oneshot
ExecStart=@PROGRAM@ --config @CONFIG@ --quiet sync
User=@USER@
@SETTINGS@# 4: the snapshot is published, and some records could not be read.
SuccessExitStatus=4
# 75: Box is down or throttles, or another command has the store. A new start resumes the run. It does not help after the other codes.
Restart=on-failure
RestartPreventExitStatus=1 2 3 130
RestartSec=30min
TimeoutStopSec=2min
# The store is writable, nothing else.
ReadWritePaths=@STORE@
UMask=0077
ProtectSystem=strict
ProtectHome=@HOME@
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
ProtectProc=invisible
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictRealtime=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
";

const TIMER: &str = "\
[Unit]
Description=Daily snapshot of the users and licences of a Box enterprise

[Timer]
# UTC has no daylight-saving time, and a snapshot has the UTC date of its start.
OnCalendar=*-*-* 04:17:00 UTC
RandomizedDelaySec=15min
FixedRandomDelay=yes
# A machine that was off at that time starts the run when it is on again.
Persistent=yes

[Install]
WantedBy=timers.target
";

fn kubernetes(answers: &Answers) -> Schedule {
    let file = |path: &Path| shell_word(&path.to_string_lossy());
    let id = answers.enterprise_id.as_deref().unwrap_or("ENTERPRISE_ID");
    let secret = match &answers.sign_in {
        SignIn::Jwt(path) => format!("--from-file=boxseat-jwt-config={}", file(path)),
        SignIn::Client { id: client, secret_file } => format!(
            "--from-literal=boxseat-client-id={} --from-file=boxseat-client-secret={} --from-literal=boxseat-enterprise-id={id}",
            shell_word(client.as_deref().unwrap_or("CLIENT_ID")),
            secret_file.as_deref().map_or_else(|| "FILE".to_owned(), file)
        ),
        SignIn::Unnamed => "--from-file=boxseat-jwt-config=1234567_abcdefgh_config.json".to_owned(),
    };
    Schedule {
        steps: vec![
            format!(
                "kubectl create configmap boxseat --from-file=boxseat.toml={}",
                file(&answers.config_file)
            ),
            format!("kubectl create secret generic boxseat {secret}"),
        ],
        texts: vec![(
            "boxseat.yaml; `image` is the name of yours".to_owned(),
            CRON_JOB.replace("@VERSION@", env!("CARGO_PKG_VERSION")),
        )],
        last_steps: vec!["kubectl apply -f boxseat.yaml".to_owned()],
    }
}

const CRON_JOB: &str = "\
apiVersion: batch/v1
kind: CronJob
metadata:
  name: boxseat
spec:
  # UTC has no daylight-saving time, and a snapshot has the UTC date of its start.
  schedule: \"17 4 * * *\"
  timeZone: Etc/UTC
  # A store has one writer. A second run would end with exit code 75.
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 43200
  jobTemplate:
    spec:
      # Box is down or throttles (75), or the pod was evicted (130): the next pod resumes the run.
      backoffLimit: 3
      podFailurePolicy:
        rules:
          # 2: configuration. 3: refused by a guard. 4: published, with records that could not be read. Another pod ends in the same way.
          - action: FailJob
            onExitCodes:
              containerName: boxseat
              operator: In
              values: [2, 3, 4]
      template:
        spec:
          restartPolicy: Never
          automountServiceAccountToken: false
          terminationGracePeriodSeconds: 120
          securityContext:
            runAsNonRoot: true
            runAsUser: 10001
            runAsGroup: 10001
            fsGroup: 10001
            fsGroupChangePolicy: OnRootMismatch
            seccompProfile:
              type: RuntimeDefault
          containers:
            - name: boxseat
              image: registry.example.com/boxseat:@VERSION@
              args: [\"--config\", \"/etc/boxseat/boxseat.toml\", \"--quiet\", \"sync\"]
              env:
                - name: BOXSEAT_STORE
                  value: /var/lib/boxseat/store
                - name: CREDENTIALS_DIRECTORY
                  value: /run/credentials
                # The journal of reclamation is bound to this name. A pod has no lasting /etc/machine-id.
                - name: BOXSEAT_RECLAIM_HOST
                  value: boxseat-production
              securityContext:
                allowPrivilegeEscalation: false
                readOnlyRootFilesystem: true
                capabilities:
                  drop: [ALL]
              resources:
                requests:
                  cpu: 250m
                  memory: 512Mi
                limits:
                  memory: 4Gi
              volumeMounts:
                - name: store
                  mountPath: /var/lib/boxseat
                - name: configuration
                  mountPath: /etc/boxseat
                  readOnly: true
                - name: credentials
                  mountPath: /run/credentials
                  readOnly: true
                - name: tmp
                  mountPath: /tmp
          volumes:
            - name: store
              persistentVolumeClaim:
                claimName: boxseat
            - name: configuration
              configMap:
                name: boxseat
            - name: credentials
              secret:
                secretName: boxseat
                defaultMode: 0440
            - name: tmp
              emptyDir: {}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: boxseat
spec:
  # One pod at a time. The lock of the store does not work on all network file systems.
  accessModes: [ReadWriteOncePod]
  resources:
    requests:
      storage: 20Gi
";

#[cfg(test)]
mod tests {
    use super::super::text::example;
    use super::*;

    fn schedule(scheduler: Scheduler, answers: &Answers) -> Schedule {
        let machine = Machine { program: "/opt/box seat/bin/boxseat".into(), user: "ada".to_owned() };
        Schedule::of(scheduler, answers, &machine, Path::new("/etc/boxseat/env"))
    }

    /// Why: the README's second line had no path and no store, and both lines ran in an hour that is skipped once a year.
    #[test]
    fn crontab_line_is_complete_and_outside_of_the_hours_of_daylight_saving_time() {
        let text = schedule(Scheduler::Cron, &example()).plain();
        assert_eq!(
            text,
            "# `crontab -e` of user ada\n17 4 * * *  set -a && . /etc/boxseat/env && \"/opt/box seat/bin/boxseat\" --config \
             /etc/boxseat/boxseat.toml --store \"/srv/box data/100\\%/s\\\"tore\" --quiet sync\n\n"
        );
    }

    #[test]
    fn unit_names_program_user_store_and_files_of_secrets() {
        let client =
            SignIn::Client { id: Some("abc".to_owned()), secret_file: Some("/etc/100%/secret".into()) };
        let text = schedule(Scheduler::Systemd, &Answers { sign_in: client, ..example() }).plain();
        for line in [
            "ExecStart=\"/opt/box seat/bin/boxseat\" --config /etc/boxseat/boxseat.toml --quiet sync",
            "User=ada",
            "Environment=\"BOXSEAT_STORE=/srv/box data/100%%/s\\\"tore\"",
            "Environment=BOXSEAT_ENTERPRISE_ID=900000001",
            "Environment=BOXSEAT_CLIENT_ID=abc",
            "LoadCredential=boxseat-client-secret:/etc/100%%/secret",
            "ReadWritePaths=\"/srv/box data/100%%/s\\\"tore\"",
            "ProtectHome=yes",
            "OnCalendar=*-*-* 04:17:00 UTC",
        ] {
            assert!(text.lines().any(|there| there == line), "{line}\n{text}");
        }
        let home = Answers { store: "/home/ada/boxseat".into(), ..example() };
        assert!(schedule(Scheduler::Systemd, &home).plain().contains("\nProtectHome=read-only\n"));
        let places = ["@PROGRAM@", "@CONFIG@", "@USER@", "@STORE@", "@HOME@", "@SETTINGS@"];
        assert!(places.iter().all(|place| !text.contains(place)), "{text}");
    }

    #[test]
    fn cron_job_reads_configuration_and_credentials_of_the_cluster() {
        let jwt = Answers { sign_in: SignIn::Jwt("/etc/jwt.json".into()), ..example() };
        let schedule = schedule(Scheduler::Kubernetes, &jwt);
        assert_eq!(
            schedule.steps,
            [
                "kubectl create configmap boxseat --from-file=boxseat.toml=/etc/boxseat/boxseat.toml",
                "kubectl create secret generic boxseat --from-file=boxseat-jwt-config=/etc/jwt.json"
            ]
        );
        let text = &schedule.texts[0].1;
        assert!(text.contains("  schedule: \"17 4 * * *\"\n  timeZone: Etc/UTC\n"), "{text}");
        assert!(text.contains(concat!("boxseat:", env!("CARGO_PKG_VERSION"), "\n")), "{text}");
    }
}
