// Options about the serial console, monitors and displays.
#include "qemu/options.h"

namespace armvisor::qemu {
namespace {

using Kind = devices::ConsoleOption::Kind;

Chardev chardev_of(Kind kind, std::string path = {}) {
  Chardev c;
  c.where.kind = kind;
  c.where.path = std::move(path);
  return c;
}

constexpr std::string_view k_places = "expected stdio, a file, a pseudo-terminal (pty), null or none: ";

/// Places with a name of their own: "stdio", "file:log", "unix:sock,server".
Chardev read_place(Line& line, const Given& given, std::string_view text) {
  Chardev c;
  const bool mux = text.starts_with("mon:");
  if (mux) text.remove_prefix(4);
  if (text == "stdio") {
    c = chardev_of(Kind::Stdio);
    c.where.keys.signals = !mux;
  } else if (text == "pty") {
    c = chardev_of(Kind::Pty);
  } else if (text == "null" || text == "none" || text == "vc" || text.starts_with("vc:")) {
    c = chardev_of(Kind::None);
  } else if (text.starts_with("file:")) {
    c = chardev_of(Kind::File, std::string(text.substr(5)));
  } else {
    refuse(line, c, given.text(), std::string(k_places) + "sockets, pipes and host devices are not here; change it");
  }
  c.given = given;
  c.mux = mux;
  return c;
}

/// A socket that QEMU connects at its other end, or one of the kinds that do not exist here.
void read_chardev_kind(Line& line, Chardev& c, const std::string& kind, KeyValues& values) {
  if (kind == "stdio") {
    c.where.kind = Kind::Stdio;
    c.where.keys.signals = read_bool(line, c.given, values, "signal").value_or(true);
  } else if (kind == "pty") {
    c.where.kind = Kind::Pty;
  } else if (kind == "null" || kind == "vc" || kind == "ringbuf") {
    c.where.kind = Kind::None;
    for (const std::string_view key : {"width", "height", "cols", "rows", "size"}) values.take(key);
  } else if (kind == "file") {
    c.where.kind = Kind::File;
    c.where.path = values.take("path").value_or("");
    if (const auto append = read_bool(line, c.given, values, "append"); append && *append)
      refuse(line, c, key_of(c.given, "append", "on"), "expected a file that is begun anew; leave it out");
    if (c.where.path.empty()) refuse(line, c, c.given.text(), "expected path=FILE; name it");
  } else {
    refuse(line, c, key_of(c.given, kind, {}),
           std::string(k_places) + "sockets, pipes and host devices are not here; change it");
  }
}

}  // namespace

void read_chardev(Line& line, const Given& given) {
  auto values = read_list(line, given, "backend");
  if (!values) return;
  Chardev c;
  c.given = given;
  const std::string kind = values->take("backend").value_or("");
  if (is_help(kind)) {
    line.help = "chardev";
    return;
  }
  c.refused = !read_id(line, given, *values, "id", IdKind::Chardev, true, c.id);
  if (const auto mux = read_bool(line, given, *values, "mux")) c.mux = *mux;
  if (!c.refused) read_chardev_kind(line, c, kind, *values);
  if (!c.refused && values->find("logfile"))
    refuse(line, c, key_of(given, "logfile", *values->find("logfile")),
           "expected one place for output: copies are not written; leave it out");
  if (!c.refused) refuse_unknown_keys(line, given, *values);
  line.chardevs.push_back(std::move(c));
}

/// -serial and -monitor also take the id of a -chardev, which may stand behind them.
Chardev read_end(Line& line, const Given& given) {
  if (!given.value.starts_with("chardev:")) return read_place(line, given, given.value);
  Chardev c;
  c.given = given;
  c.refers = given.value.substr(8);
  return c;
}

void read_serial(Line& line, const Given& given) {
  line.serials.push_back(read_end(line, given));
  if (line.serials.back().mux) line.monitor_on_serial = true;
}

void read_monitor(Line& line, const Given& given) { line.monitors.push_back(read_end(line, given)); }

void read_mon(Line& line, const Given& given) {
  auto values = read_list(line, given, "chardev");
  if (!values) return;
  if (values->take("mode").value_or("readline") == "control")
    return line.outcomes.refused(given.text(), "expected no machine protocol: there is no QMP server; leave it out");
  Chardev c;
  c.given = given;
  c.refused = !read_id(line, given, *values, "id", IdKind::Monitor, false, c.id);
  c.refers = values->take("chardev").value_or("");
  line.monitors.push_back(std::move(c));
}

void read_display(Line& line, const Given& given) {
  line.display_given = given;
  if (given.value == "help") {
    line.help = "display";
  } else if (given.value == "none" || given.value == "vnc=none" || given.value.starts_with("egl-headless")) {
    line.display = Display::None;
    line.outcomes.mapped(given.text(), "no display");
  } else {
    line.display = Display::Window;
  }
}

void read_nographic(Line& line, const Given& given) {
  line.display = Display::Nographic;
  line.outcomes.mapped(given.text(), "no display");
}

void read_vnc(Line& line, const Given& given) {
  line.display_given = given;
  line.display = given.value == "none" ? Display::None : Display::Window;
  if (line.display == Display::None) line.outcomes.mapped(given.text(), "no display");
}

void read_vga(Line& line, const Given& given) {
  if (given.value == "none")
    line.outcomes.mapped(given.text(), "no graphics card");
  else
    read_device(line, {"device", "VGA"});
}

void read_parallel(Line& line, const Given& given) {
  line.outcomes.ignored(given.text(), "the board has no parallel port, nor has QEMU's");
}

void read_echr(Line& line, const Given& given) {
  const auto value = parse_unsigned(given.value);
  if (!value || *value > 255)
    return line.outcomes.refused(given.text(), "expected the code of a character, as 0x14 or 20; change it");
  line.escape = static_cast<u8>(*value);
  line.outcomes.mapped(given.text(), "the character that begins the console's keys");
}

}  // namespace armvisor::qemu
