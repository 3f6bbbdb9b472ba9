package job

import "time"

// BeatEvery makes the worker show that it lives more often.
func (w *Worker) BeatEvery(d time.Duration) { w.heartbeat = d }
