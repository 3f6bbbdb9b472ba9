package device

import "github.com/sluicehq/sluice/internal/page"

// Page is a page of rows of one device.
type Page[T any] struct {
	DeviceID string
	page.Page[T]
}

// PagesOf returns the page of each device, in the order of the devices.
func PagesOf[T any](deviceIDs []string, pages map[string]page.Page[T]) []Page[T] {
	all := make([]Page[T], len(deviceIDs))
	for i, id := range deviceIDs {
		all[i] = Page[T]{DeviceID: id, Page: pages[id]}
	}
	return all
}
