//! Laws of the rendered manifests.

use std::process::Command;

use hotshelf::config::SETTINGS;
use serde_json::{Value, json};

use super::rendered::{KUSTOMIZATIONS, POD_IP, POD_NAME, Rendered};

/// The Kubernetes whose schemas validate them.
const KUBERNETES: &str = "1.35";

/// Time between the end of the drain and the kubelet's SIGKILL (chosen: threads are joined and memory is freed
/// in it, which takes well under a second).
const SLACK_S: u64 = 5;

#[test]
fn every_document_is_valid_to_the_strict_schema() {
    for kustomization in KUSTOMIZATIONS {
        let Some(rendered) = Rendered::of(kustomization) else {
            return;
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &rendered.yaml).unwrap();
        let output = Command::new(&rendered.validator)
            .args(["-k", KUBERNETES, "--strict"])
            .arg(file.path())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success(), "{kustomization}: {said}");
        for document in rendered.all() {
            let kind = document["kind"].as_str().unwrap().to_lowercase();
            let name = document["metadata"]["name"].as_str().unwrap();
            // A ServiceMonitor is no type of Kubernetes itself; it has a test of its own.
            let is_known = kind != "servicemonitor";
            let passed = format!("passed for resource {kind}/{name}");
            assert_eq!(said.contains(&passed), is_known, "{kind}/{name}: {said}");
        }
    }
}

#[test]
fn deployment_requests_the_agreed_resources_and_no_privileges() {
    let Some(base) = Rendered::of("base") else {
        return;
    };
    let container = base.container();
    assert_eq!(
        container["resources"],
        json!({ "requests": { "cpu": "1", "memory": "2Gi" },
                "limits": { "cpu": "2", "memory": "4Gi" } })
    );
    for kustomization in KUSTOMIZATIONS {
        let Some(rendered) = Rendered::of(kustomization) else {
            return;
        };
        let (pod, container) = (rendered.pod(), rendered.container());
        assert_eq!(
            container["securityContext"],
            json!({ "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                    "capabilities": { "drop": ["ALL"] } })
        );
        assert_eq!(pod["automountServiceAccountToken"], false);
        // Otherwise Kubernetes sets HOTSHELF_HTTP_PORT, and the server refuses unknown variables.
        assert_eq!(pod["enableServiceLinks"], false);
        let context = &pod["securityContext"];
        assert_eq!(context["runAsNonRoot"], true);
        assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
        let cache = pod["volumes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|v| v["name"] == "cache");
        assert!(cache.unwrap()["emptyDir"]["sizeLimit"].is_string());
        assert_eq!(mounts(container, "cache"), [rendered.setting("cache_dir")]);
    }
}

fn mounts(container: &Value, volume: &str) -> Vec<String> {
    let all = container["volumeMounts"].as_array().unwrap();
    let of_it = all.iter().filter(|mount| mount["name"] == volume);
    of_it
        .map(|mount| mount["mountPath"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_variable_is_a_setting() {
    for kustomization in KUSTOMIZATIONS {
        let Some(rendered) = Rendered::of(kustomization) else {
            return;
        };
        let environment = rendered.environment();
        let own = environment.iter().map(|(name, _)| name);
        for name in own.filter(|name| name.starts_with("HOTSHELF_")) {
            let is_setting = SETTINGS.iter().any(|setting| setting.variable() == *name);
            assert!(is_setting, "{name}");
        }
    }
}

#[test]
fn pod_reports_its_own_name_and_address_to_the_fleet() {
    for kustomization in KUSTOMIZATIONS {
        let Some(rendered) = Rendered::of(kustomization) else {
            return;
        };
        assert_eq!(rendered.setting("replica"), POD_NAME);
        let data = rendered.setting("data_addr");
        let (_, port) = data.rsplit_once(':').unwrap();
        assert_eq!(
            rendered.setting("advertise_addr"),
            format!("{POD_IP}:{port}")
        );
    }
}

#[test]
fn grace_period_covers_the_whole_drain() {
    for kustomization in KUSTOMIZATIONS {
        let Some(rendered) = Rendered::of(kustomization) else {
            return;
        };
        let ms = |key| rendered.setting(key).parse::<u64>().unwrap();
        let drain_ms = ms("drain_delay_ms") + ms("drain_timeout_ms");
        let grace_s = rendered.pod()["terminationGracePeriodSeconds"]
            .as_u64()
            .unwrap();
        assert!(
            grace_s * 1000 >= drain_ms + SLACK_S * 1000,
            "{kustomization}: {grace_s} s for a drain of {drain_ms} ms"
        );
        // Readiness fails before GOAWAY is sent.
        let probe = &rendered.container()["readinessProbe"];
        let turns_s = ["periodSeconds", "failureThreshold"].map(|key| probe[key].as_u64().unwrap());
        assert!(turns_s[0] * turns_s[1] * 1000 <= ms("drain_delay_ms"));
    }
}

#[test]
fn services_target_named_ports_of_the_pods() {
    let Some(base) = Rendered::of("base") else {
        return;
    };
    let deployment = base.document("Deployment", "hotshelf");
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(&deployment["spec"]["selector"]["matchLabels"], labels);
    let budget = base.document("PodDisruptionBudget", "hotshelf");
    assert_eq!(&budget["spec"]["selector"]["matchLabels"], labels);
    let ports = base.container()["ports"].as_array().unwrap();
    for (service, cluster_ip, name) in [
        ("hotshelf", json!("None"), "grpc-data"),
        ("hotshelf-admin", Value::Null, "grpc-admin"),
        ("hotshelf-http", Value::Null, "http"),
    ] {
        let spec = &base.document("Service", service)["spec"];
        assert_eq!(
            (&spec["clusterIP"], &spec["selector"]),
            (&cluster_ip, labels)
        );
        let [port] = &spec["ports"].as_array().unwrap()[..] else {
            panic!("{service} has one port");
        };
        let of_pod = ports.iter().find(|it| it["name"] == name).unwrap();
        assert_eq!(port["targetPort"], name);
        assert_eq!(port["port"], of_pod["containerPort"]);
    }
}

/// Otherwise no call could make the first version live: no replica is ready before that.
#[test]
fn only_the_admin_service_has_addresses_of_replicas_that_are_not_ready() {
    for kustomization in KUSTOMIZATIONS {
        let Some(rendered) = Rendered::of(kustomization) else {
            return;
        };
        let services = rendered.all().iter().filter(|it| it["kind"] == "Service");
        let mut admin_services = 0;
        for service in services {
            let spec = &service["spec"];
            let is_admin = spec["ports"]
                .as_array()
                .unwrap()
                .iter()
                .any(|port| port["targetPort"] == "grpc-admin");
            let publishes_unready = spec["publishNotReadyAddresses"] == true;
            assert_eq!(publishes_unready, is_admin, "{kustomization}: {service}");
            admin_services += usize::from(is_admin);
        }
        assert_eq!(admin_services, 1, "{kustomization}");
    }
}

/// Memory is a metric only by choice: it does not fall with more replicas.
#[test]
fn autoscaler_goes_from_5_to_20_by_cpu_and_by_memory_only_where_chosen() {
    for (kustomization, metrics) in [
        ("base", &[("cpu", 70)][..]),
        ("overlays/monitored", &[("cpu", 70)]),
        ("overlays/memory-scaled", &[("cpu", 70), ("memory", 80)]),
    ] {
        let Some(rendered) = Rendered::of(kustomization) else {
            return;
        };
        let spec = &rendered.document("HorizontalPodAutoscaler", "hotshelf")["spec"];
        assert_eq!(
            (&spec["minReplicas"], &spec["maxReplicas"]),
            (&json!(5), &json!(20))
        );
        let targets = spec["metrics"].as_array().unwrap().iter().map(|metric| {
            let resource = &metric["resource"];
            let percent = resource["target"]["averageUtilization"].as_u64();
            (resource["name"].as_str().unwrap(), percent.unwrap())
        });
        assert_eq!(targets.collect::<Vec<_>>(), metrics, "{kustomization}");
    }
}

/// Otherwise each apply would reset the autoscaler's number.
#[test]
fn deployment_sets_replicas_only_without_an_autoscaler() {
    for kustomization in KUSTOMIZATIONS {
        let Some(rendered) = Rendered::of(kustomization) else {
            return;
        };
        let kind = |kind| rendered.all().iter().filter(move |it| it["kind"] == kind);
        for deployment in kind("Deployment") {
            let name = &deployment["metadata"]["name"];
            let is_scaled = kind("HorizontalPodAutoscaler")
                .any(|it| it["spec"]["scaleTargetRef"]["name"] == *name);
            let has_replicas = deployment["spec"].get("replicas").is_some();
            assert_eq!(has_replicas, !is_scaled, "{kustomization}: {name}");
        }
    }
}

#[test]
fn network_policy_opens_the_admin_port_to_operators_alone() {
    let Some(base) = Rendered::of("base") else {
        return;
    };
    let spec = &base.document("NetworkPolicy", "hotshelf")["spec"];
    assert_eq!(spec["policyTypes"], json!(["Ingress"]));
    let labels = &base.document("Deployment", "hotshelf")["spec"]["template"]["metadata"]["labels"];
    assert_eq!(&spec["podSelector"]["matchLabels"], labels);
    let access = |role: &str| json!({ "matchLabels": { "hotshelf.access": role } });
    let from_both =
        json!([{ "namespaceSelector": access("data") }, { "podSelector": access("data") }]);
    let expected = [
        ("grpc-data", from_both),
        ("grpc-admin", json!([{ "podSelector": access("operator") }])),
        (
            "http",
            json!([{ "namespaceSelector": access("monitoring") }]),
        ),
    ];
    let rules = spec["ingress"].as_array().unwrap();
    assert_eq!(rules.len(), expected.len());
    for (rule, (port, from)) in rules.iter().zip(expected) {
        assert_eq!(rule, &json!({ "from": from, "ports": [{ "port": port }] }));
    }
}

#[test]
fn service_monitor_finds_the_http_service_and_its_metrics() {
    let Some(monitored) = Rendered::of("overlays/monitored") else {
        return;
    };
    let monitor = monitored.document("ServiceMonitor", "hotshelf");
    assert_eq!(monitor["apiVersion"], "monitoring.coreos.com/v1");
    let service = monitored.document("Service", "hotshelf-http");
    assert_eq!(
        monitor["metadata"]["namespace"],
        service["metadata"]["namespace"]
    );
    assert_eq!(
        &monitor["spec"]["selector"]["matchLabels"],
        &service["metadata"]["labels"]
    );
    let grpc = monitored.document("Service", "hotshelf");
    assert_ne!(grpc["metadata"]["labels"], service["metadata"]["labels"]);
    let endpoints = monitor["spec"]["endpoints"].as_array().unwrap();
    assert_eq!(endpoints.len(), 1);
    assert_eq!(endpoints[0]["port"], service["spec"]["ports"][0]["name"]);
    assert_eq!(endpoints[0]["path"], "/metrics");
}
