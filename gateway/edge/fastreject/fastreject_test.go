package fastreject_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/gateway/edge/fastreject"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gate refuses whatever is sent to /refused, and counts who answered. What else is sent it repeats.
type gate struct {
	address       string
	inside, again atomic.Int64
	open          atomic.Bool // lets in what was refused
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.inside.Add(1)
	if r.URL.Path == "/refused" && !g.open.Load() {
		fastreject.Repeat(r, func() fastreject.Responder { return g.answer })
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, "no")
		return
	}
	body, _ := io.ReadAll(r.Body)
	_, _ = fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, body)
}

func (g *gate) answer(text []byte) ([]byte, bool) {
	if g.open.Load() {
		return text, false
	}
	g.again.Add(1)
	return append(text, "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nno"...), true
}

func serve(t testing.TB) *gate {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{address: listener.Addr().String()}
	server, ended := &http.Server{Handler: g, ReadHeaderTimeout: time.Minute}, make(chan error)
	go func() { ended <- fastreject.Serve(server, listener, 10*time.Second) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return g
}

// line is one connection to the gate.
type line struct {
	testing.TB
	net.Conn
	answers *bufio.Reader
}

func (g *gate) dial(t testing.TB) *line {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", g.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &line{t, conn, bufio.NewReader(conn)}
}

// send writes each text by itself.
func (l *line) send(texts ...string) {
	l.Helper()
	for _, text := range texts {
		if _, err := io.WriteString(l, text); err != nil {
			l.Fatal(err)
		}
	}
}

// hear gives the next answer.
func (l *line) hear() string {
	l.Helper()
	response, err := http.ReadResponse(l.answers, nil)
	if err != nil {
		l.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		l.Fatal(err)
	}
	return fmt.Sprint(response.StatusCode, " ", string(body))
}

func (l *line) ask(text string) string {
	l.Helper()
	l.send(text)
	return l.hear()
}

func post(path, body string, headers ...string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", path, strings.Join(append(headers, ""), "\r\n"), len(body), body)
}

// What comes again on a connection is answered without the handler, whatever its body is; another
// request is not, and neither is this one once it is let in.
func TestWhatComesAgain(t *testing.T) {
	t.Parallel()
	g := serve(t)
	l := g.dial(t)
	for i := range 200 {
		if got := l.ask(post("/refused", fmt.Sprintf("body %03d", i))); got != "429 no" {
			t.Fatalf("request %d is answered %s", i, got)
		}
	}
	// The first is to be seen, and two are to be sure; now and then net/http has read on before it was done.
	if inside, again := g.inside.Load(), g.again.Load(); inside < 3 || again < 100 || inside+again != 200 {
		t.Errorf("the handler refused %d, and %d came again", inside, again)
	}
	for _, text := range []string{
		post("/other", "body 000"), post("/refused", "longer than before"), post("/refused", "body 000", "X: y"), "GET /refused HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		before := g.inside.Load()
		if l.ask(text); g.inside.Load() != before+1 {
			t.Errorf("%q did not reach the handler", text)
		}
	}
	for range 5 {
		l.ask(post("/refused", "body 000"))
	}
	g.open.Store(true)
	if got := l.ask(post("/refused", "let me in")); got != "200 POST /refused let me in" {
		t.Errorf("let in, it is answered %s", got)
	}
}

// A request without a body comes again as well; another connection has not seen it.
func TestWithoutABody(t *testing.T) {
	t.Parallel()
	g := serve(t)
	const get = "GET /refused HTTP/1.1\r\nHost: x\r\n\r\n"
	for range 2 {
		l, before := g.dial(t), g.inside.Load()
		for range 100 {
			if got := l.ask(get); got != "429 no" {
				t.Fatalf("answered %s", got)
			}
		}
		if inside := g.inside.Load() - before; inside < 3 || inside > 50 {
			t.Errorf("the handler refused %d of 100 on a connection", inside)
		}
	}
}

// What cannot be told to be the same, and nothing more, goes to the handler each time.
func TestWhatNeverComesAgain(t *testing.T) {
	t.Parallel()
	same := post("/refused", "body")
	for name, parts := range map[string][]string{
		"of another protocol":       {strings.Replace(same, "HTTP/1.1", "HTTP/1.0", 1)},
		"in chunks":                 {"POST /refused HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"},
		"whose body is to be asked": {post("/refused", "body", "Expect: 200-ok")},
		"the last":                  {post("/refused", "body", "Connection: close")},
		"with other line ends":      {strings.Replace(same, "Host: x\r\n", "Host: x\n", 1)},
		"larger than a read":        {post("/refused", strings.Repeat("x", 5000))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := serve(t)
			l := g.dial(t)
			for range 6 {
				l.send(parts...)
				response, err := http.ReadResponse(l.answers, nil)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, response.Body)
				if response.Close {
					l = g.dial(t)
				}
			}
			if again := g.again.Load(); again != 0 {
				t.Errorf("%d were taken for the same", again)
			}
		})
	}
}

// However requests are cut and sent together, and whatever they hold, each gets its own answer, in order:
// nothing is taken out of another, and nothing is left over.
func TestNothingIsTakenForWhatItIsNot(t *testing.T) {
	t.Parallel()
	g := serve(t)
	same := post("/refused", "body")
	for round := range 1000 {
		random := rand.New(rand.NewPCG(1, uint64(round)))
		l := g.dial(t)
		var asked []string
		for range 30 {
			asked = append(asked, pick(random, same))
		}
		said, heard := "", 0
		listen := func() {
			for heard < len(asked) && len(strings.Join(asked[:heard+1], "")) <= len(said) {
				if got, want := l.hear(), wanted(asked[heard]); got != want {
					t.Fatalf("round %d: request %d, %q, is answered %q, want %q", round, heard, asked[heard], got, want)
				}
				heard++
			}
		}
		for _, piece := range cut(random, asked, same) {
			l.send(piece)
			if said += piece; random.IntN(4) > 0 { // else the next comes with it, or soon after
				listen()
			}
		}
		listen()
		_ = l.Close()
	}
	if again := g.again.Load(); again < 100 {
		t.Errorf("%d came again: this shows nothing", again)
	}
}

// pick gives a request: mostly the same one, and some that hold it.
func pick(random *rand.Rand, same string) string {
	switch random.IntN(10) {
	case 0:
		return post("/other", same)
	case 1:
		return post("/other", same[random.IntN(len(same)):]+same+same[:random.IntN(len(same))])
	case 2:
		return post("/refused", same)
	case 3:
		return post("/refused", "body", "X: "+strings.ReplaceAll(same[:strings.Index(same, "\r\n")], "\r\n", ""))
	}
	return same
}

// cut joins some requests and cuts them elsewhere; most come as they are.
func cut(random *rand.Rand, asked []string, same string) (pieces []string) {
	rest := ""
	for _, text := range asked {
		if rest += text; random.IntN(3) > 0 {
			pieces, rest = append(pieces, rest), ""
			continue
		}
		for len(rest) > 0 && random.IntN(3) > 0 {
			at := min(len(rest), 1+random.IntN(2*len(same)))
			pieces, rest = append(pieces, rest[:at]), rest[at:]
		}
	}
	return append(pieces, rest)
}

func wanted(text string) string {
	request, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		return err.Error()
	}
	if request.URL.Path == "/refused" {
		return "429 no"
	}
	body, _ := io.ReadAll(request.Body)
	return fmt.Sprintf("200 %s %s %s", request.Method, request.URL.Path, body)
}
