package fastreject

import (
	"net/http"
	"testing"
)

// What net/http does with a connection, in the order that it does it; requests are refused by GET.
type (
	read  string // bytes that came
	state http.ConnState
	again int // a request with a body so long was refused
)

// requests as they come alone.
func alone(text string) []any {
	return []any{state(http.StateIdle), read(text), state(http.StateActive), again(0)}
}

// Only what has come twice, each time alone, is answered here.
func TestWhatIsKnownToBeTheSame(t *testing.T) {
	t.Parallel()
	const same = "GET / HTTP/1.1\r\n\r\n"
	idle, active := state(http.StateIdle), state(http.StateActive)
	hidden := "GET /b HTTP/1.1\r\n\r\nbo" // the end of a body, and the first bytes of the next request
	for _, c := range []struct {
		name  string
		after [][]any
		taken bool
	}{
		{"twice alone", [][]any{alone(same), alone(same)}, true},
		{"once", [][]any{alone(same)}, false},
		{"another between", [][]any{alone(same), alone(same), {idle, read(same + "x"), active}}, false},
		{"another before", [][]any{alone(same), {idle, read(same), active}, alone(same)}, false},
		{"one that was let in between", [][]any{alone(same), alone(same), {idle, read("GET /x"), active}}, false},
		{"the next is coming", [][]any{alone(same), alone(same), {read("G")}}, false},
		{"the next came before it was refused", [][]any{alone(same), {idle, read(same), active, read("G"), again(0)}}, false},
		{"the next came with it", [][]any{alone(same), {idle, read(same + "G"), active, again(0)}}, false},
		{"in two reads", [][]any{alone(same), {idle, read(same[:5]), read(same[5:]), active, again(0)}}, false},
		{"a body that is still to come", [][]any{alone(same), {idle, read(same), active, again(3)}}, false},
		{"the end of a head, and the next", [][]any{{idle, read("\r\n" + same), active, again(0)}, alone(same)}, false},
		{"other line ends", [][]any{alone("GET / HTTP/1.1\nX: y\r\n\r\n"), alone("GET / HTTP/1.1\nX: y\r\n\r\n")}, false},
		// Of the first all but the end of its body was there before, and of the second the beginning of its head.
		{"a body that looks like it", [][]any{alone(same), {idle, active, read(hidden), again(2)}, alone(same)}, false},
		{"an upgrade", [][]any{alone(same), alone(same), {state(http.StateHijacked)}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			one := &conn{}
			one.observed.Store(true)
			for _, steps := range c.after {
				for _, step := range steps {
					happens(one, step)
				}
			}
			one.changeState(http.StateIdle)
			if taken := one.respondsTo([]byte(same)); taken != c.taken {
				t.Errorf("taken for the same: %t", taken)
			}
		})
	}
}

func happens(c *conn, step any) {
	switch step := step.(type) {
	case read:
		c.respondsTo([]byte(step))
	case state:
		c.changeState(http.ConnState(step))
	case again:
		c.register(http.MethodGet, int(step), func() Responder {
			return func(text []byte) ([]byte, bool) { return text, true }
		})
	}
}
