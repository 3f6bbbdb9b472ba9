package bus

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// brokerLog hands the server's log to ours. Its notices are details to us.
type brokerLog struct {
	logger *slog.Logger
	mu     sync.Mutex
	first  error // the first fatal message; the server goes on after it, half started
}

func (l *brokerLog) Noticef(format string, v ...any) { l.logger.Debug(fmt.Sprintf(format, v...)) }

// Warnf takes a device that was refused for a detail likewise.
func (l *brokerLog) Warnf(format string, v ...any) {
	message := fmt.Sprintf(format, v...)
	if strings.HasPrefix(message, "Auth callout service returned an error") || strings.Contains(message, " - mid:") {
		l.logger.Debug(message)
		return
	}
	l.logger.Warn(message)
}

// Errorf takes what a device did wrong for a detail, or one that keeps trying would fill the log.
func (l *brokerLog) Errorf(format string, v ...any) {
	message := fmt.Sprintf(format, v...)
	if strings.Contains(message, " - mid:") {
		l.logger.Debug(message)
		return
	}
	l.logger.Error(message)
}

func (l *brokerLog) Debugf(format string, v ...any) { l.logger.Debug(fmt.Sprintf(format, v...)) }
func (l *brokerLog) Tracef(string, ...any)          {} // never switched on: it would show payloads

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
