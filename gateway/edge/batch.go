package edge

import (
	"net/http"
	"slices"

	"github.com/99designs/gqlgen/graphql"

	"github.com/sluicehq/sluice/gateway/admission"
)

// executeBatch responds with a list of responses in the order of the operations. It admits or refuses all before the
// first runs. They run serially, so each operation sees earlier writes.
func (t transport) executeBatch(w http.ResponseWriter, r *http.Request, executor graphql.GraphExecutor, all []*graphql.RawParams) {
	ctx := r.Context()
	operations := make([]*admission.Operation, len(all))
	for i, params := range all {
		operations[i] = t.admission.Admit(ctx, executor, params, supports(w, r.Method))
		admission.Report(w.Header(), operations[i].Budget, operations[i].Retry)
	}
	if err := t.admission.CheckTogether(ctx, operations); err != nil {
		admission.Report(w.Header(), t.admission.Left(ctx), nil)
		refuse(w, r, err)
		return
	}
	for _, o := range operations {
		run(ctx, o)
	}
	if slices.ContainsFunc(operations, func(o *admission.Operation) bool { return o.Ran }) {
		admission.Report(w.Header(), t.admission.Left(ctx), nil)
	}
	t.writeBatch(w, r, operations)
}

// writeBatch writes the responses. Errors are per response, so the status is always 200. A batch has no freshness.
func (t transport) writeBatch(w http.ResponseWriter, r *http.Request, operations []*admission.Operation) {
	queries := !slices.ContainsFunc(operations, func(o *admission.Operation) bool { return o.Ran && !isQuery(o) })
	t.send(w, r, queries, http.StatusOK, mediaJSON, func(text []byte) (_ []byte, err error) {
		text = append(text, '[')
		for i, o := range operations {
			if i > 0 {
				text = append(text, ',')
			}
			if text, err = appendResult(r.Context(), text, o); err != nil {
				return nil, err
			}
		}
		return append(text, ']'), nil
	})
}
