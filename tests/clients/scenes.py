"""What programs written with the Python `kubernetes` client do, against the cluster of $KUBECONFIG: scenes.py <namespace>"""
import base64
import sys
import threading

from kubernetes import client, config, watch
from kubernetes.client.rest import ApiException
from kubernetes.dynamic import DynamicClient

namespace = sys.argv[1]
config.load_kube_config()
core = client.CoreV1Api()


def refused(code, reason, call, *args, **kwargs):
    """The call must be refused with that status."""
    try:
        call(*args, **kwargs)
    except ApiException as error:
        assert error.status == code and f'"reason":"{reason}"' in error.body.replace(" ", ""), error
        return error
    raise AssertionError(f"should have been refused with {code}")


def objects():
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=namespace)))
    made = core.create_namespaced_config_map(namespace, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="a"), data={"k": "1"}))
    assert made.metadata.creation_timestamp.tzinfo is not None
    refused(409, "AlreadyExists", core.create_namespaced_config_map, namespace, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="a")))
    refused(404, "NotFound", core.read_namespaced_config_map, "none", namespace)
    refused(422, "Invalid", core.create_namespaced_config_map, namespace, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="A_b")))
    patched = core.patch_namespaced_config_map("a", namespace, {"data": {"l": "2"}})
    assert patched.data == {"k": "1", "l": "2"}
    made.data = {"k": "late"}
    refused(409, "Conflict", core.replace_namespaced_config_map, "a", namespace, made)
    secret = core.create_namespaced_secret(namespace, client.V1Secret(metadata=client.V1ObjectMeta(name="s"), string_data={"p": "word"}))
    assert base64.b64decode(secret.data["p"]) == b"word" and secret.type == "Opaque"
    tried = core.create_namespaced_config_map(namespace, client.V1ConfigMap(metadata=client.V1ObjectMeta(generate_name="x-")), dry_run="All")
    assert tried.metadata.name.startswith("x-")


def lists():
    for number in range(7):
        core.create_namespaced_config_map(
            namespace, client.V1ConfigMap(metadata=client.V1ObjectMeta(name=f"page-{number}", labels={"scene": "lists"}))
        )
    names, token = [], None
    while True:
        page = core.list_namespaced_config_map(namespace, label_selector="scene=lists", limit=3, _continue=token)
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert names == [f"page-{number}" for number in range(7)], names
    core.delete_collection_namespaced_config_map(namespace, label_selector="scene=lists")
    assert core.list_namespaced_config_map(namespace, label_selector="scene=lists").items == []


def watches():
    start = core.list_namespaced_config_map(namespace).metadata.resource_version

    def work():
        core.create_namespaced_config_map(namespace, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="seen")))
        core.patch_namespaced_config_map("seen", namespace, {"data": {"k": "v"}})
        core.delete_namespaced_config_map("seen", namespace)

    worker = threading.Thread(target=work)
    worker.start()
    events, watcher = [], watch.Watch()
    for event in watcher.stream(
        core.list_namespaced_config_map, namespace, resource_version=start, field_selector="metadata.name=seen", timeout_seconds=10
    ):
        events.append((event["type"], event["object"].metadata.name))
        if event["type"] == "DELETED":
            watcher.stop()
    worker.join()
    assert events == [(word, "seen") for word in ("ADDED", "MODIFIED", "DELETED")], events


def workloads():
    labels = {"app": "web"}
    pod = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels=labels),
        spec=client.V1PodSpec(containers=[client.V1Container(name="c", image="i", resources=client.V1ResourceRequirements(limits={"cpu": "0.5"}))]),
    )
    spec = client.V1DeploymentSpec(replicas=0, selector=client.V1LabelSelector(match_labels=labels), template=pod)
    apps = client.AppsV1Api()
    made = apps.create_namespaced_deployment(namespace, client.V1Deployment(metadata=client.V1ObjectMeta(name="web"), spec=spec))
    assert made.spec.template.spec.containers[0].resources.limits == {"cpu": "500m"}
    assert made.spec.strategy.rolling_update.max_surge == "25%"
    scale = apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 0}})
    assert scale.status.selector == "app=web", scale
    may = client.V1SelfSubjectAccessReview(
        spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=client.V1ResourceAttributes(verb="delete", resource="nodes"))
    )
    assert client.AuthorizationV1Api().create_self_subject_access_review(may).status.allowed
    account = core.create_namespaced_service_account(namespace, client.V1ServiceAccount(metadata=client.V1ObjectMeta(name="bot")))
    asked = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=600))
    token = core.create_namespaced_service_account_token(account.metadata.name, namespace, asked).status.token
    assert token.count(".") == 2
    lease = client.V1Lease(
        metadata=client.V1ObjectMeta(name="lead"),
        spec=client.V1LeaseSpec(holder_identity="me", lease_duration_seconds=15, renew_time="2026-11-21T04:00:00.123456Z"),
    )
    held = client.CoordinationV1Api().create_namespaced_lease(namespace, lease)
    assert held.spec.renew_time.microsecond == 123456, held


def custom():
    names = client.V1CustomResourceDefinitionNames(plural="loaves", singular="loaf", kind="Loaf")
    properties = {"spec": client.V1JSONSchemaProps(type="object", properties={"grams": client.V1JSONSchemaProps(type="integer")})}
    schema = client.V1CustomResourceValidation(open_apiv3_schema=client.V1JSONSchemaProps(type="object", properties=properties))
    version = client.V1CustomResourceDefinitionVersion(name="v1", served=True, storage=True, schema=schema)
    group = f"{namespace}.example.com"
    spec = client.V1CustomResourceDefinitionSpec(group=group, scope="Namespaced", names=names, versions=[version])
    definitions = client.ApiextensionsV1Api()
    body = client.V1CustomResourceDefinition(metadata=client.V1ObjectMeta(name=f"loaves.{group}"), spec=spec)
    definitions.create_custom_resource_definition(body)
    watcher = watch.Watch()
    for event in watcher.stream(definitions.list_custom_resource_definition, field_selector=f"metadata.name=loaves.{group}", timeout_seconds=10):
        if any(c.type == "Established" and c.status == "True" for c in (event["object"].status and event["object"].status.conditions) or []):
            watcher.stop()
    # The dynamic client reads discovery, and applies on the server.
    loaves = DynamicClient(client.ApiClient()).resources.get(api_version=f"{group}/v1", kind="Loaf")
    loaf = {"apiVersion": f"{group}/v1", "kind": "Loaf", "metadata": {"name": "one"}, "spec": {"grams": 500}}
    applied = loaves.server_side_apply(body=loaf, name="one", namespace=namespace, field_manager="baker")
    assert applied.spec.grams == 500 and applied.metadata.managedFields[0].manager == "baker"
    plain = client.CustomObjectsApi()
    assert [item["metadata"]["name"] for item in plain.list_namespaced_custom_object(group, "v1", namespace, "loaves")["items"]] == ["one"]
    refused(422, "Invalid", plain.patch_namespaced_custom_object, group, "v1", namespace, "loaves", "one", {"spec": {"grams": "much"}})
    definitions.delete_custom_resource_definition(f"loaves.{group}")


for scene in (objects, lists, watches, workloads, custom):
    scene()
    print(scene.__name__, "done", flush=True)
core.delete_namespace(namespace)
