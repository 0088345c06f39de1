// What the page says, in English and Chinese. Kubernetes' own words (kinds, reasons, states) stay as they are.
const WORDS = {
  en: {
    skip: "Skip to content", sections: "Sections", language: "Language", leave: "Sign out",
    login: "Sign in", loginWhy: "The dashboard shows every namespace, so it asks for the token of a cluster administrator. “impresario up” prints it; it is also in admin.token in the data directory.",
    token: "Bearer token", enter: "Sign in",
    wrongToken: "This token is not known to the cluster.", noRight: "This user may not look at the dashboard: it needs to be in the group system:masters.",
    connecting: "Connecting…", live: "Live", lost: "Connection lost. Trying again in {0} s", trying: "Trying again…",
    summary: "Summary", nodes: "Nodes", pods: "Pods", workloads: "Workloads and services", events: "Events", actors: "Actors", decisions: "Decisions",
    decisionsWhy: "What controllers and the scheduler decided, and what moved them. The log is kept over restarts: “impresario why pod/name” reads all of it.", objectHint: "Filter by object, controller, reason…", because: "because {0}", but: "but: {0}",
    actorsWhy: "The actors of this server process, by path: what waits, what was done, what was decided last.",
    nodesReady: "Nodes ready", podsByPhase: "Pods by phase", namespaces: "Namespaces", revision: "Committed revision", servicesCard: "Services", eventsCard: "Events kept",
    namespace: "Namespace", allNamespaces: "All namespaces", filter: "Filter", filterHint: "Filter by name, status, node, address…", warnings: "Warnings only",
    name: "Name", status: "Status", roles: "Roles", version: "Version", address: "Internal IP", mesh: "Mesh", age: "Age", cpu: "CPU", memory: "Memory", podCidr: "Pod CIDR",
    ready: "Ready", restarts: "Restarts", ip: "IP", node: "Node", connected: "connected", away: "not connected", here: "—",
    actor: "Actor", depth: "Mailbox", handled: "Handled", rate: "per s", dropped: "Dropped", lastActive: "Last active", decision: "Last decision", error: "Last error",
    nothing: "Nothing here.", nothingMatches: "Nothing matches the filter.", more: "Show more ({0})", ago: "{0} ago", never: "never",
    expand: "Expand", collapse: "Collapse", of: "{0} of {1}",
  },
  zh: {
    skip: "跳到内容", sections: "栏目", language: "语言", leave: "退出",
    login: "登录", loginWhy: "面板会显示所有命名空间，因此需要集群管理员的令牌。“impresario up” 启动时会打印它；它也保存在数据目录的 admin.token 文件中。",
    token: "Bearer 令牌", enter: "登录",
    wrongToken: "集群不认识这个令牌。", noRight: "该用户无权查看面板：需要属于 system:masters 组。",
    connecting: "正在连接…", live: "实时", lost: "连接已断开，{0} 秒后重试", trying: "正在重试…",
    summary: "概览", nodes: "节点", pods: "Pod", workloads: "工作负载与服务", events: "事件", actors: "Actor", decisions: "决定",
    decisionsWhy: "控制器和调度器的决定及其原因。重启后记录仍在：用 “impresario why pod/名称” 可读取全部。", objectHint: "按对象、控制器、原因筛选…", because: "因为 {0}", but: "但是：{0}",
    actorsWhy: "本服务器进程中的 actor，按路径排列：等待的消息、已处理的消息、最近的决定。",
    nodesReady: "就绪节点", podsByPhase: "各阶段的 Pod", namespaces: "命名空间", revision: "已提交修订号", servicesCard: "服务", eventsCard: "保留的事件",
    namespace: "命名空间", allNamespaces: "所有命名空间", filter: "筛选", filterHint: "按名称、状态、节点、地址筛选…", warnings: "仅警告",
    name: "名称", status: "状态", roles: "角色", version: "版本", address: "内部 IP", mesh: "网格连接", age: "存在时间", cpu: "CPU", memory: "内存", podCidr: "Pod 网段",
    ready: "就绪", restarts: "重启", ip: "IP", node: "节点", connected: "已连接", away: "未连接", here: "—",
    actor: "Actor", depth: "邮箱", handled: "已处理", rate: "每秒", dropped: "丢弃", lastActive: "最近活动", decision: "最近的决定", error: "最近的错误",
    nothing: "这里什么都没有。", nothingMatches: "没有符合筛选条件的内容。", more: "显示更多（{0}）", ago: "{0}前", never: "从未",
    expand: "展开", collapse: "收起", of: "{0} / {1}",
  },
};

const KEPT = "impresario.language";
let language = chosen();

function chosen() {
  const kept = localStorage.getItem(KEPT);
  if (kept in WORDS) return kept;
  return (navigator.language || "").toLowerCase().startsWith("zh") ? "zh" : "en";
}

export const current = () => language;

export function choose(next) {
  if (!(next in WORDS)) return;
  language = next;
  localStorage.setItem(KEPT, next);
  translate();
}

/** The word for `key`, with `{0}`, `{1}` filled in. */
export function word(key, ...values) {
  const text = WORDS[language][key] ?? WORDS.en[key] ?? key;
  return text.replace(/\{(\d)\}/g, (_, i) => String(values[i] ?? ""));
}

/** Puts the words of the chosen language into everything that is marked with `data-word…`. */
export function translate() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const at of document.querySelectorAll("[data-word]")) at.textContent = word(at.dataset.word);
  for (const at of document.querySelectorAll("[data-word-placeholder]")) at.placeholder = word(at.dataset.wordPlaceholder);
  for (const at of document.querySelectorAll("[data-word-label]")) at.setAttribute("aria-label", word(at.dataset.wordLabel));
}
