// What programs written with Node's @kubernetes/client-node do, against the cluster of $KUBECONFIG: scenes.mjs <folder of modules> <namespace>
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const [, , modules, namespace] = process.argv;
const k8s = createRequire(`${modules}/`)('@kubernetes/client-node');
const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);

const map = (name, data, labels) => ({ metadata: { name, labels }, data });

async function refused(code, reason, call) {
  const error = await call.then(
    () => assert.fail(`should have been refused with ${code}`),
    (error) => error,
  );
  assert.equal(error.code, code, String(error));
  const status = typeof error.body === 'string' ? JSON.parse(error.body) : error.body;
  assert.equal(status.reason, reason);
}

async function objects() {
  await core.createNamespace({ body: { metadata: { name: namespace } } });
  const made = await core.createNamespacedConfigMap({ namespace, body: map('a', { k: '1' }) });
  assert.ok(made.metadata.creationTimestamp instanceof Date);
  await refused(409, 'AlreadyExists', core.createNamespacedConfigMap({ namespace, body: map('a') }));
  await refused(404, 'NotFound', core.readNamespacedConfigMap({ namespace, name: 'none' }));
  const merge = k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch);
  const patched = await core.patchNamespacedConfigMap({ namespace, name: 'a', body: { data: { l: '2' } } }, merge);
  assert.deepEqual(patched.data, { k: '1', l: '2' });
  const json = await core.patchNamespacedConfigMap({ namespace, name: 'a', body: [{ op: 'remove', path: '/data/l' }] });
  assert.deepEqual(json.data, { k: '1' });
  await refused(409, 'Conflict', core.replaceNamespacedConfigMap({ namespace, name: 'a', body: made }));
  const applied = k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.ServerSideApply);
  const body = { apiVersion: 'v1', kind: 'ConfigMap', ...map('applied', { k: 'v' }) };
  const result = await core.patchNamespacedConfigMap({ namespace, name: 'applied', fieldManager: 'node', force: true, body }, applied);
  assert.equal(result.metadata.managedFields[0].manager, 'node');
}

async function lists() {
  for (let number = 0; number < 5; number++) {
    await core.createNamespacedConfigMap({ namespace, body: map(`page-${number}`, {}, { scene: 'lists' }) });
  }
  const names = [];
  let _continue;
  do {
    const page = await core.listNamespacedConfigMap({ namespace, labelSelector: 'scene=lists', limit: 2, _continue });
    names.push(...page.items.map((item) => item.metadata.name));
    _continue = page.metadata._continue;
  } while (_continue);
  assert.deepEqual(names, [0, 1, 2, 3, 4].map((number) => `page-${number}`));
}

async function informers() {
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const list = () => core.listNamespacedConfigMap({ namespace, labelSelector: 'scene=informers' });
  const informer = k8s.makeInformer(config, path, list, 'scene=informers');
  const seen = [];
  const done = new Promise((resolve, reject) => {
    for (const word of ['add', 'update', 'delete']) {
      informer.on(word, (object) => {
        seen.push(`${word} ${object.metadata.name}`);
        if (word === 'delete') resolve();
      });
    }
    informer.on('error', reject);
  });
  const connected = new Promise((resolve) => informer.on('connect', resolve));
  await core.createNamespacedConfigMap({ namespace, body: map('early', {}, { scene: 'informers' }) });
  await informer.start();
  await connected;
  await core.createNamespacedConfigMap({ namespace, body: map('late', {}, { scene: 'informers' }) });
  const body = [{ op: 'add', path: '/data', value: { k: 'v' } }];
  await core.patchNamespacedConfigMap({ namespace, name: 'late', body });
  await core.deleteNamespacedConfigMap({ namespace, name: 'early' });
  await done;
  assert.deepEqual(seen, ['add early', 'add late', 'update late', 'delete early']);
  assert.equal(informer.get('late', namespace).data.k, 'v');
  await informer.stop();
}

async function anything() {
  // Like kubectl: the kinds come from discovery.
  const objects = k8s.KubernetesObjectApi.makeApiClient(config);
  const role = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name: 'reader', namespace },
    rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }],
  };
  const made = await objects.create(role);
  assert.ok(made.metadata.uid);
  assert.deepEqual((await objects.read(role)).rules[0].resources, ['pods']);
  await objects.delete(role);
  await refused(404, 'NotFound', objects.read(role));
}

for (const scene of [objects, lists, informers, anything]) {
  await scene();
  console.log(scene.name, 'done');
}
await core.deleteNamespace({ name: namespace });
