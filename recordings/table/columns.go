package table

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/recordings/internal/value"
)

type column struct {
	name   string   // its name in Options.Columns
	usual  []string // its common headers, the most likely first
	needed bool
	unless string // another column that replaces it
}

// kind is the kind of the rows of a file.
type kind struct {
	title   string
	columns []column
}

func names(s string) []string { return strings.Fields(s) }

var (
	timeNames  = names("timestamp time datetime date_time at recorded_at measured_at observed_at gps_time time_utc utc ts date")
	latNames   = names("latitude lat y gps_latitude gps_lat position_lat")
	lonNames   = names("longitude lon lng long x gps_longitude gps_lon gps_lng position_lon position_long")
	tripNames  = names("trip_id trip journey_id journey ride_id")
	vehicles   = names("vehicle_id vehicle bus_id bus car_id car taxi_id medallion vehicle_ref")
	deviceName = names("device_id device sensor_id sensor serial machine_id machine")
)

var fixes = kind{"fixes", []column{
	{name: "time", usual: timeNames, needed: true},
	{name: "date", usual: names("date")}, // of a time of day
	{name: "latitude", usual: latNames, needed: true, unless: "point"},
	{name: "longitude", usual: lonNames, needed: true, unless: "point"},
	{name: "point", usual: names("point wkt geometry geom")},
	{name: "trip", usual: tripNames},
	{name: "vehicle", usual: slices.Concat(vehicles, deviceName)},
	{name: "id", usual: names("id")}, // of the vehicle, with a point
	{name: "accuracy", usual: names("accuracy accuracy_m accuracy_metres accuracy_meters horizontal_accuracy")},
}}

var rides = kind{"rides", []column{
	{name: "start", usual: names("pickup_time pickup_datetime tpep_pickup_datetime lpep_pickup_datetime start_time started_at start_datetime starttime start_at start departure_time"), needed: true},
	{name: "end", usual: names("dropoff_time dropoff_datetime tpep_dropoff_datetime lpep_dropoff_datetime end_time ended_at end_datetime stoptime stop_time end_at end arrival_time"), needed: true},
	{name: "start_latitude", usual: names("pickup_lat pickup_latitude start_lat start_latitude from_lat from_latitude origin_lat start_station_latitude"), needed: true},
	{name: "start_longitude", usual: names("pickup_lon pickup_lng pickup_longitude start_lon start_lng start_longitude from_lon from_lng from_longitude origin_lon origin_lng start_station_longitude"), needed: true},
	{name: "end_latitude", usual: names("dropoff_lat dropoff_latitude end_lat end_latitude to_lat to_latitude destination_lat end_station_latitude"), needed: true},
	{name: "end_longitude", usual: names("dropoff_lon dropoff_lng dropoff_longitude end_lon end_lng end_longitude to_lon to_lng to_longitude destination_lon destination_lng end_station_longitude"), needed: true},
	{name: "distance_m", usual: names("distance_m distance_metres distance_meters metered_metres")},
	{name: "distance_km", usual: names("distance_km distance_kilometres distance_kilometers")},
	{name: "distance_miles", usual: names("distance_miles distance_mi miles")},
	{name: "passengers", usual: names("passengers passenger_count")},
	{name: "trip", usual: tripNames},
	{name: "vehicle", usual: slices.Concat(vehicles, deviceName)},
}}

var readings = kind{"readings", []column{
	{name: "time", usual: timeNames, needed: true},
	{name: "date", usual: names("date")}, // of a time of day
	{name: "value", usual: names("value reading measurement temperature temperature_c temp humidity pressure level"), needed: true},
	{name: "device", usual: deviceName},
}}

var devices = kind{"devices", []column{
	{name: "key", usual: names("key id device_id external_id serial serial_number"), needed: true, unless: "name"},
	{name: "name", usual: names("name title device_name")},
	{name: "kind", usual: names("kind type device_kind device_type"), needed: true},
	{name: "labels", usual: names("labels tags")},
	{name: "latitude", usual: latNames},
	{name: "longitude", usual: lonNames},
}}

func (k kind) named(columns map[string]string) bool {
	for name := range columns {
		if _, ok := k.column(name); ok && !slices.Contains([]string{"trip", "vehicle"}, name) {
			return true
		}
	}
	return false
}

func (k kind) column(name string) (column, bool) {
	i := slices.IndexFunc(k.columns, func(c column) bool { return c.name == name })
	if i < 0 {
		return column{}, false
	}
	return k.columns[i], true
}

func (k kind) has(header []string, name string) bool {
	c, _ := k.column(name)
	return c.find(header) >= 0
}

func (c column) find(header []string) int {
	for _, usual := range c.usual {
		if i := slices.Index(header, usual); i >= 0 {
			return i
		}
	}
	return -1
}

func (k kind) bind(r row, named map[string]string) (map[string]int, error) {
	at := make(map[string]int, len(k.columns))
	for _, c := range k.columns {
		if i := c.find(r.header); i >= 0 {
			at[c.name] = i
		}
	}
	overridden := map[string]int{}
	if err := k.override(named, r, overridden); err != nil {
		return nil, err
	}
	maps.Copy(at, overridden)
	if err := k.checkDuplicates(r, at, overridden); err != nil {
		return nil, err
	}
	for _, c := range k.columns {
		if missing := c.needed && !has(at, c.name) && !has(at, c.unless); missing {
			return nil, fmt.Errorf("no column for the %s: none of %s; the headers are %s; name it by --column %s=HEADER",
				c.name, strings.Join(c.usual, ", "), list(r.raw), c.name)
		}
	}
	return at, k.unitOf(r, at)
}

func (k kind) override(named map[string]string, r row, at map[string]int) error {
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if _, ok := k.column(name); !ok {
			return fmt.Errorf("--column %s=…: %s have no such value, only %s", value.Cut(name), k.title, strings.Join(k.names(), ", "))
		}
		header := named[name]
		i := slices.Index(r.raw, header)
		if i < 0 {
			i = slices.Index(r.header, value.Name(header))
		}
		if i < 0 {
			return fmt.Errorf("--column %s=%s: there is no such header; the headers are %s", name, value.Cut(header), list(r.raw))
		}
		at[name] = i
	}
	return nil
}

// unitOf refuses a distance of unknown unit. The header trip_distance of the NYC TLC, beside the times of a TLC
// meter, is in miles.
func (k kind) unitOf(r row, at map[string]int) error {
	if k.title != rides.title || has(at, "distance_m") || has(at, "distance_km") || has(at, "distance_miles") {
		return nil
	}
	if i := slices.Index(r.header, "trip_distance"); i >= 0 && slices.ContainsFunc(r.header, isTLC) {
		at["distance_miles"] = i
		return nil
	}
	for _, header := range []string{"distance", "trip_distance"} {
		if slices.Contains(r.header, header) {
			return fmt.Errorf("the header %s does not say its unit: add --column distance_km=%s, or distance_m, or distance_miles", header, header)
		}
	}
	return nil
}

func isTLC(header string) bool {
	return strings.HasPrefix(header, "tpep_") || strings.HasPrefix(header, "lpep_")
}

// checkDuplicates refuses headers of which one would be dropped: two columns with the used header, in any spelling
// unless the caller chose one of them, and a second value that the caller did not choose between.
func (k kind) checkDuplicates(r row, at, overridden map[string]int) error {
	for _, c := range k.columns {
		i, ok := at[c.name]
		if !ok {
			continue
		}
		_, chosen := overridden[c.name]
		for n := range r.header {
			if n != i && r.header[n] == r.header[i] && (!chosen || r.raw[n] == r.raw[i]) {
				return fmt.Errorf("the header %s appears twice: rename one of them", value.Quote(r.raw[i]))
			}
		}
	}
	if _, named := overridden["value"]; named || k.title != readings.title {
		return nil
	}
	values, _ := k.column("value")
	var found []string
	for i, header := range r.header {
		if slices.ContainsFunc(values.usual, func(usual string) bool { return isValueOf(header, usual) }) && !slices.Contains(slices.Collect(maps.Values(at)), i) || at["value"] == i && has(at, "value") {
			found = append(found, value.Quote(r.raw[i]))
		}
	}
	if len(found) > 1 {
		return fmt.Errorf("the file has several values, %s: import one at a time by --column value=HEADER", strings.Join(found, ", "))
	}
	return nil
}

// isValueOf reports whether a header names a value by its usual header, also with a number, a unit or a place:
// "value2", "temperature_2", "humidity_indoor".
func isValueOf(header, usual string) bool {
	rest, ok := strings.CutPrefix(header, usual)
	if slices.Contains(names("_unit _units _type _name _id _status _quality"), rest) {
		return false
	}
	return ok && (rest == "" || rest[0] == '_' || rest[0] >= '0' && rest[0] <= '9')
}

// unread returns what is to be reported about columns that are not read: other columns of a value that has several
// usual headers, and for readings all other columns.
func (k kind) unread(r row, at map[string]int) []string {
	used := slices.Collect(maps.Values(at))
	var reports, others []string
	for i, header := range r.header {
		if slices.Contains(used, i) {
			continue
		}
		rival := slices.IndexFunc(k.columns, func(c column) bool { return has(at, c.name) && slices.Contains(c.usual, header) })
		switch {
		case rival >= 0:
			c := k.columns[rival]
			reports = append(reports, fmt.Sprintf("the %s is in the column %s, and %s is not read: --column %s=HEADER names another one",
				c.name, value.Quote(r.raw[at[c.name]]), value.Quote(r.raw[i]), c.name))
		case k.title == readings.title:
			others = append(others, r.raw[i])
		}
	}
	if len(others) > 0 {
		reports = append(reports, "columns that are not read: "+list(others))
	}
	return reports
}

func (k kind) names() []string {
	var all []string
	for _, c := range k.columns {
		all = append(all, c.name)
	}
	return all
}

func has(at map[string]int, name string) bool {
	_, ok := at[name]
	return ok
}

// list formats headers for an error, up to a maximum number.
func list(header []string) string {
	const most = 30
	var shown []string
	for _, h := range header[:min(len(header), most)] {
		shown = append(shown, value.Quote(h))
	}
	if len(header) > most {
		shown = append(shown, fmt.Sprintf("and %d more", len(header)-most))
	}
	return strings.Join(shown, ", ")
}
