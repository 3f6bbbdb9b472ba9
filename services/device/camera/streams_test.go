package camera_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/camera"
	"github.com/sluicehq/sluice/services/device/command"
	"github.com/sluicehq/sluice/services/device/devicetest"
)

// studio is a station with a camera that answers, unless it sulks.
type studio struct {
	*devicetest.Station
	id    string
	films bool     // the camera streams
	sent  []string // the commands that the camera saw
	at    []time.Time
	ids   []string
	sulks bool
}

func openStudio(t *testing.T) *studio {
	t.Helper()
	s := &studio{Station: devicetest.Open(t)}
	s.id = s.Register(t, device.Camera).ID
	return s
}

// partner is a context in which a program calls.
func partner(t *testing.T, name string) context.Context {
	t.Helper()
	return caller.NewContext(t.Context(), caller.Caller{
		AccountID: "account_1", APIKeyID: name, Role: caller.Operator, Scopes: []string{caller.DeviceRead, caller.CameraView, caller.CameraMove},
	})
}

// film has the camera do what it was ordered since the last call.
func (s *studio) film(t *testing.T) {
	t.Helper()
	for _, order := range s.Radio.Take() {
		if slices.Contains(s.ids, order.ID) {
			continue // a camera knows a repeat by its id
		}
		s.sent, s.at, s.ids = append(s.sent, order.Name), append(s.at, s.Clock.Now()), append(s.ids, order.ID)
		if s.sulks {
			continue
		}
		s.films = order.Name == "startStream" || s.films && order.Name != "stopStream"
		s.Hear(t, s.id, device.UpCommandResult, `{"id":%q,"ok":true,"result":{"url":"rtsp://camera/1"}}`, order.ID)
	}
}

// pass lets time go by, second by second, in which the camera answers and what is due is done.
func (s *studio) pass(t *testing.T, d time.Duration) {
	t.Helper()
	for range d / time.Second {
		s.film(t)
		s.Clock.Advance(time.Second)
		s.RunDue(t)
	}
	s.film(t)
}

func (s *studio) start(t *testing.T, who string) camera.StreamView {
	t.Helper()
	st, err := s.Cameras.StartStream(partner(t, who), camera.StreamInput{DeviceID: s.id})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func (s *studio) stop(t *testing.T, who string) camera.StreamView {
	t.Helper()
	st, err := s.Cameras.StopStream(partner(t, who), camera.StreamInput{DeviceID: s.id})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// stream checks the state and the number of viewers.
func (s *studio) stream(t *testing.T, what string, state camera.StreamState, viewers int) camera.StreamView {
	t.Helper()
	found, err := s.Cameras.BatchGetStreams(partner(t, "apikey_x"), []string{s.id})
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %+v, %v", what, found, err)
	}
	if found[0].State != state || found[0].Watching != viewers {
		t.Errorf("%s: it is %s with %d viewers, want %s with %d", what, found[0].State, found[0].Watching, state, viewers)
	}
	return found[0]
}

// saw checks what the camera was ordered since the start.
func (s *studio) saw(t *testing.T, what string, want ...string) {
	t.Helper()
	s.film(t)
	if !slices.Equal(s.sent, want) {
		t.Errorf("%s: the camera was sent %v, want %v", what, s.sent, want)
	}
}

// bounded checks that no 5 minutes saw more than 6 starts.
func (s *studio) bounded(t *testing.T) {
	t.Helper()
	for i, from := range s.at {
		starts := 0
		for j := i; j < len(s.at) && s.at[j].Sub(from) < 5*time.Minute; j++ {
			if s.sent[j] == "startStream" {
				starts++
			}
		}
		if starts > 6 {
			t.Errorf("%d starts within 5 minutes of %s", starts, from)
		}
	}
}

func TestStreamWithViewerKeepsRunning(t *testing.T) {
	t.Parallel()
	s := openStudio(t)
	s.stream(t, "at first", camera.StreamStopped, 0)
	if st := s.start(t, "apikey_a"); st.State != camera.StreamStarting || st.Watching != 1 || st.LeaseUntil == nil {
		t.Errorf("started %+v", st)
	}
	s.start(t, "apikey_b") // while it starts
	s.saw(t, "two start", "startStream")
	if st := s.stream(t, "the camera has answered", camera.StreamLive, 2); st.Answer != `{"url":"rtsp://camera/1"}` {
		t.Errorf("the camera said %s", st.Answer)
	}
	s.start(t, "apikey_a") // renews
	s.stop(t, "apikey_a")
	s.pass(t, 30*time.Second)
	s.stream(t, "one has left", camera.StreamLive, 1)
	s.stop(t, "apikey_b")
	s.pass(t, 10*time.Second)
	s.start(t, "apikey_b") // within the linger
	s.pass(t, 59*time.Second)
	s.stream(t, "the lease runs", camera.StreamLive, 1)
	s.pass(t, time.Second)
	s.stream(t, "the lease has ended", camera.StreamLive, 0)
	s.pass(t, 19*time.Second)
	s.saw(t, "it lingers", "startStream")
	s.pass(t, 2*time.Second)
	s.saw(t, "nobody came back", "startStream", "stopStream")
	s.stream(t, "at last", camera.StreamStopped, 0)
}

// A page that loops on "start the stream" is its maker's problem alone.
func TestACallerThatLoopsDoesNotMakeTheStreamFlap(t *testing.T) {
	t.Parallel()
	s := openStudio(t)
	s.start(t, "apikey_good")
	s.pass(t, 2*time.Second)
	accepted, refused := 0, 0
	for range 1000 { // in 10 seconds
		s.Clock.Advance(10 * time.Millisecond)
		_, err := s.Cameras.StartStream(partner(t, "apikey_loops"), camera.StreamInput{DeviceID: s.id})
		switch e := errs.From(err); {
		case err == nil:
			accepted++
		case e.Code == errs.ResourceExhausted && e.Reason == camera.ReasonStreamFlapping && e.RetryAfter > 0 && e.RetryAfter <= time.Second:
			refused++
		default:
			t.Fatal(err)
		}
		if accepted+refused == 500 {
			s.RunDue(t)
			s.start(t, "apikey_good") // another caller is not in the way of it
		}
	}
	s.pass(t, 2*time.Second)
	s.saw(t, "after the loop", "startStream")
	s.stream(t, "after the loop", camera.StreamLive, 2)
	if accepted < 20 || accepted > 45 || refused != 1000-accepted {
		t.Errorf("%d accepted, %d refused", accepted, refused)
	}
}

// The same as if each of start and stop were a page's click: neither reaches the camera.
func TestALoopOfStartAndStopDoesNotMakeTheStreamFlap(t *testing.T) {
	t.Parallel()
	s := openStudio(t)
	for range 500 {
		s.Clock.Advance(20 * time.Millisecond)
		_, err := s.Cameras.StartStream(partner(t, "apikey_loops"), camera.StreamInput{DeviceID: s.id})
		if err != nil && errs.From(err).Reason != camera.ReasonStreamFlapping {
			t.Fatal(err)
		}
		s.stop(t, "apikey_loops")
		s.film(t)
	}
	s.pass(t, 2*time.Minute)
	s.saw(t, "after the loop", "startStream", "stopStream")
	s.stream(t, "after the loop", camera.StreamStopped, 0)
}

// A loop that is slower than the linger does reach the camera; it is damped, for its caller first.
func TestASlowLoopIsDamped(t *testing.T) {
	t.Parallel()
	s := openStudio(t)
	var wait time.Duration
	for range 10 {
		_, err := s.Cameras.StartStream(partner(t, "apikey_loops"), camera.StreamInput{DeviceID: s.id})
		if e := errs.From(err); err != nil {
			if e.Reason != camera.ReasonStreamFlapping || e.RetryAfter <= 0 {
				t.Fatal(err)
			}
			wait = e.RetryAfter
			break
		}
		s.pass(t, 5*time.Second)
		s.stop(t, "apikey_loops")
		s.pass(t, 25*time.Second)
	}
	s.saw(t, "the loop", "startStream", "stopStream", "startStream", "stopStream", "startStream", "stopStream")
	s.start(t, "apikey_good")
	s.pass(t, 2*time.Second)
	s.stream(t, "another caller", camera.StreamLive, 1)
	s.stop(t, "apikey_good")
	s.pass(t, wait)
	s.start(t, "apikey_loops") // at the time of its retry hint
	s.pass(t, 2*time.Second)
	s.stream(t, "when it comes back", camera.StreamLive, 1)
}

func TestACameraThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	s := openStudio(t)
	s.sulks = true
	s.start(t, "apikey_a")
	s.pass(t, 25*time.Second)
	if st := s.stream(t, "it did not start, as far as is known", camera.StreamStopping, 0); st.Reason != command.ReasonTimedOut || st.Error == "" {
		t.Errorf("it says %+v", st)
	}
	s.sulks = false
	s.pass(t, time.Minute)
	s.stream(t, "it was sent to stop, to be sure", camera.StreamStopped, 0)
	s.start(t, "apikey_a")
	s.pass(t, time.Second)
	s.stop(t, "apikey_a")
	s.sulks = true
	s.pass(t, 50*time.Second) // lingers, and is ordered to stop
	s.sulks = false
	s.pass(t, 30*time.Second)
	if s.films {
		t.Error("the camera goes on")
	}
	s.stream(t, "it was sent to stop until it did", camera.StreamStopped, 0)
	s.SetPresence(t, s.id, device.Offline)
	_, err := s.Cameras.StartStream(partner(t, "apikey_a"), camera.StreamInput{DeviceID: s.id})
	if !errors.Is(err, errs.New(errs.FailedPrecondition, device.ReasonOffline, "")) {
		t.Errorf("offline: %v", err)
	}
}

func TestAStreamOutlivesARestart(t *testing.T) {
	t.Parallel()
	s := openStudio(t)
	s.start(t, "apikey_a")
	s.Restart() // before the camera has answered
	s.pass(t, 3*time.Second)
	s.stream(t, "restarted", camera.StreamLive, 1)
	s.stop(t, "apikey_a")
	s.Restart()
	s.pass(t, 25*time.Second)
	s.saw(t, "nobody watches", "startStream", "stopStream")
}

// When the camera goes away and comes back, those who watch get their stream back.
func TestAStreamComesBackWithItsCamera(t *testing.T) {
	t.Parallel()
	s := openStudio(t)
	s.start(t, "apikey_a")
	s.pass(t, time.Second)
	s.SetPresence(t, s.id, device.Offline)
	s.pass(t, 50*time.Second)
	s.start(t, "apikey_a") // a viewer stays one
	s.pass(t, 20*time.Second)
	s.stream(t, "the camera is away", camera.StreamStopped, 1)
	s.SetPresence(t, s.id, device.Online)
	s.pass(t, 10*time.Second)
	s.stream(t, "the camera is back", camera.StreamLive, 1)
}

func TestEqualStartsAtOnceAreOneCommand(t *testing.T) {
	t.Parallel()
	s := openStudio(t)
	other := *s.Station
	other.Restart() // another process on the same rows
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			process := s.Station
			if i%2 == 1 {
				process = &other
			}
			if _, err := process.Cameras.StartStream(partner(t, fmt.Sprint("apikey_", i)), camera.StreamInput{DeviceID: s.id}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s.pass(t, 2*time.Second)
	s.saw(t, "16 at once", "startStream")
	s.stream(t, "16 at once", camera.StreamLive, 16)
}

func TestViewersAreBounded(t *testing.T) {
	t.Parallel()
	s := openStudio(t)
	watch := func(who string, i int) error {
		s.Clock.Advance(time.Second / 2)
		_, err := s.Cameras.StartStream(partner(t, who), camera.StreamInput{DeviceID: s.id, Viewer: fmt.Sprint("tab ", i)})
		return err
	}
	for i := range 100 {
		if err := watch("apikey_a", i); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := watch("apikey_a", 100); !errors.Is(err, errs.New(errs.ResourceExhausted, camera.ReasonTooManyViewers, "")) {
		t.Errorf("one too many: %v", err)
	}
	if err := watch("apikey_a", 99); err != nil {
		t.Errorf("one that is there: %v", err)
	}
}

func TestWhoMayDriveACamera(t *testing.T) {
	t.Parallel()
	s := openStudio(t)
	sensor := s.Register(t, device.Sensor).ID
	viewer := caller.NewContext(t.Context(), caller.Caller{APIKeyID: "apikey_v", Role: caller.Operator, Scopes: []string{caller.CameraView}})
	member := caller.NewContext(t.Context(), caller.Caller{APIKeyID: "apikey_m", Role: caller.Member, Scopes: []string{caller.CameraView, caller.CameraMove}})
	north := caller.NewContext(t.Context(), caller.Caller{APIKeyID: "apikey_n", Role: caller.Operator, Scopes: []string{caller.CameraView, caller.CameraMove}, DeviceLabels: map[string]string{"site": "north"}})
	pan, wrong, nan := 10.0, 180.1, math.NaN()
	move := func(ctx context.Context, in camera.MoveInput) func() error {
		return func() error { _, err := s.Cameras.MoveCamera(ctx, in); return err }
	}
	start := func(ctx context.Context, id string) func() error {
		return func() error {
			_, err := s.Cameras.StartStream(ctx, camera.StreamInput{DeviceID: id})
			return err
		}
	}
	for name, c := range map[string]struct {
		do   func() error
		want error
	}{
		"a viewer watches":            {start(viewer, s.id), nil},
		"a viewer does not move":      {move(viewer, camera.MoveInput{DeviceID: s.id, Pan: &pan}), errs.New(errs.PermissionDenied, "SCOPE_MISSING", "")},
		"a member does not":           {start(member, s.id), errs.New(errs.PermissionDenied, errs.ReasonNotAllowed, "")},
		"nobody does not":             {start(t.Context(), s.id), errs.New(errs.Unauthenticated, "SIGN_IN_REQUIRED", "")},
		"a limited key does not":      {start(north, s.id), device.Missing(s.id)},
		"a limited key does not move": {move(north, camera.MoveInput{DeviceID: s.id, Pan: &pan}), device.Missing(s.id)},
		"a sensor is no camera":       {start(viewer, sensor), errs.New(errs.InvalidArgument, camera.ReasonNotACamera, "")},
		"a partner moves":             {move(partner(t, "apikey_p"), camera.MoveInput{DeviceID: s.id, Pan: &pan}), nil},
		"not nowhere":                 {move(partner(t, "apikey_p"), camera.MoveInput{DeviceID: s.id}), errs.Invalid("", "")},
		"not too far":                 {move(partner(t, "apikey_p"), camera.MoveInput{DeviceID: s.id, Pan: &wrong}), errs.Invalid("", "")},
		"not to NaN":                  {move(partner(t, "apikey_p"), camera.MoveInput{DeviceID: s.id, Focus: &nan}), errs.Invalid("", "")},
		"no way around by sendCommand": {func() error {
			_, err := s.Commands.Send(devicetest.As(t, caller.Admin), command.SendInput{DeviceID: s.id, Name: "startStream"})
			return err
		}, errs.Invalid("", "")},
	} {
		if err := c.do(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMovesOfOneCallerAreBounded(t *testing.T) {
	t.Parallel()
	s := openStudio(t)
	pan, refused := 1.0, 0
	for range 100 {
		_, err := s.Cameras.MoveCamera(partner(t, "apikey_loops"), camera.MoveInput{DeviceID: s.id, Pan: &pan})
		if errs.From(err) != nil {
			if errs.From(err).Reason != camera.ReasonStreamFlapping {
				t.Fatal(err)
			}
			refused++
		}
	}
	if _, err := s.Cameras.MoveCamera(partner(t, "apikey_good"), camera.MoveInput{DeviceID: s.id, Pan: &pan}); err != nil || refused != 80 {
		t.Errorf("%d refused; another caller: %v", refused, err)
	}
}

// Whatever happens in whatever order, the camera is ordered to start no more often than the rules allow;
// and when all have gone, it rests.
func TestAStreamBearsAnyOrderOfThings(t *testing.T) {
	t.Parallel()
	for seed := range uint64(24) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s := openStudio(t)
			r := rand.New(rand.NewPCG(seed, 1))
			for range 150 {
				who := fmt.Sprint("apikey_", r.IntN(3))
				switch r.IntN(8) {
				case 0, 1:
					_, err := s.Cameras.StartStream(partner(t, who), camera.StreamInput{DeviceID: s.id})
					if e := errs.From(err); err != nil && e.Reason != camera.ReasonStreamFlapping && e.Reason != device.ReasonOffline {
						t.Fatal(err)
					}
				case 2:
					s.stop(t, who)
				case 3:
					s.Clock.Advance(time.Duration(r.IntN(40)) * time.Second)
				case 4:
					s.sulks = r.IntN(3) == 0
				case 5:
					s.Restart()
				case 6:
					s.SetPresence(t, s.id, []device.Presence{device.Online, device.Online, device.Offline}[r.IntN(3)])
				case 7:
					s.RunDue(t)
				}
				s.film(t)
			}
			s.SetPresence(t, s.id, device.Online)
			s.sulks = false
			s.pass(t, 6*time.Minute)
			s.stream(t, "when all have gone", camera.StreamStopped, 0)
			if s.films {
				t.Errorf("the camera goes on after %v", s.sent)
			}
			s.bounded(t)
		})
	}
}
