// Monaco runs its language services in workers. Their file names carry a hash
// that only the build knows; each is looked up beside this script, so the page
// works under any path and under `worker-src 'self'`.
declare const WORKER_FILES: { editor: string; json: string; graphql: string };

function workerFile(label: string): string {
  if (label === 'json') return WORKER_FILES.json;
  if (label === 'graphql') return WORKER_FILES.graphql;
  return WORKER_FILES.editor;
}

window.MonacoEnvironment = {
  getWorker: (_id: string, label: string) =>
    new Worker(new URL(workerFile(label), import.meta.url)),
};
