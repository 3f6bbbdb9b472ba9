package bus

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// brokerLog passes the server's log to ours. Its notices are debug messages.
type brokerLog struct {
	logger *slog.Logger
	mu     sync.Mutex
	first  error // the first fatal message, after which the server continues half started
}

func (l *brokerLog) Noticef(format string, v ...any) { l.logger.Debug(fmt.Sprintf(format, v...)) }
func (l *brokerLog) Warnf(format string, v ...any)   { l.logger.Warn(fmt.Sprintf(format, v...)) }
func (l *brokerLog) Errorf(format string, v ...any)  { l.logger.Error(fmt.Sprintf(format, v...)) }
func (l *brokerLog) Debugf(format string, v ...any)  { l.logger.Debug(fmt.Sprintf(format, v...)) }
func (l *brokerLog) Tracef(string, ...any)           {} // disabled: traces contain payloads

func (l *brokerLog) Fatalf(format string, v ...any) {
	message := fmt.Sprintf(format, v...)
	l.logger.Error(message)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first == nil {
		l.first = errors.New(message)
	}
}

func (l *brokerLog) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first
}
