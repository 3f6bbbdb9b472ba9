package edge

import (
	"fmt"
	"net/http"

	"github.com/99designs/gqlgen/graphql"

	"github.com/sluicehq/sluice/graph/pipeline"
	"github.com/sluicehq/sluice/internal/errs"
)

// doAll answers a list of operations with a list of answers, in its order. All are let in or refused
// before the first runs; then they run one after another, so that each sees what those before it did.
func (t transport) doAll(w http.ResponseWriter, r *http.Request, executor graphql.GraphExecutor, all []*graphql.RawParams) {
	turns, points := make([]*turn, len(all)), 0
	for i, params := range all {
		turns[i] = t.prepare(w, r, executor, params)
		points += turns[i].price()
	}
	if t.maxCost > 0 && points > t.maxCost {
		for _, one := range turns {
			if one.operation != nil {
				t.giveBack(r.Context(), w, one.operation)
			}
		}
		t.tellLeft(w, r)
		refuse(w, r, errs.New(errs.InvalidArgument, "QUERY_TOO_EXPENSIVE", "the operations cost %d points together; %d are allowed in one request", points, t.maxCost))
		return
	}
	for _, one := range turns {
		t.run(w, r, executor, one)
	}
	if points > 0 {
		t.tellLeft(w, r)
	}
	t.writeAll(w, r, turns)
}

// tellLeft sets the headers of a budget anew: what each operation knows of it is from before the others.
func (t transport) tellLeft(w http.ResponseWriter, r *http.Request) {
	if t.quota == nil {
		return
	}
	if left, err := t.quota.Take(r.Context(), "", 0); err == nil {
		tellBudget(w.Header(), left, nil)
	}
}

// price is what the operation costs at most; 0 when it is refused.
func (one *turn) price() int {
	if one.operation == nil || one.refusal != nil || one.response != nil {
		return 0
	}
	if charge := pipeline.ChargeOf(one.operation); charge != nil {
		return charge.Requested
	}
	return 0
}

// writeAll answers with what came of each operation. Each answer has its own errors, and so the status is
// 200 whatever they are; nothing says for how long they are good together.
func (t transport) writeAll(w http.ResponseWriter, r *http.Request, turns []*turn) {
	parts, queries := [][]byte{[]byte("[")}, true
	for i, one := range turns {
		text, err := one.answer(r.Context()).encode()
		if err != nil {
			t.logger.ErrorContext(r.Context(), "an answer is no JSON", "error", err.Error())
			refuse(w, r, fmt.Errorf("write the answer: %w", err))
			return
		}
		if i > 0 {
			parts = append(parts, []byte(","))
		}
		parts = append(parts, text...)
		queries = queries && (one.isQuery() || !one.ran)
	}
	parts = append(parts, []byte("]"))
	if queries {
		parts = t.compressed(w, r, parts)
	}
	write(w, http.StatusOK, mediaJSON, parts...)
}
