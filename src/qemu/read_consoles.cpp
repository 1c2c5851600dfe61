// Options about the serial console, monitors and displays.
#include "qemu/options.h"

namespace armvisor::qemu {

void read_serial(Line& line, const Given& given) { line.serials.push_back(read_place(line, given, given.value)); }

void read_monitor(Line& line, const Given& given) { line.monitors.push_back({read_place(line, given, given.value)}); }

void read_qmp(Line& line, const Given& given) {
  line.monitors.push_back({read_place(line, given, given.value), monitor::Monitor::Mode::Control});
}

void read_qmp_pretty(Line& line, const Given& given) {
  line.monitors.push_back({read_place(line, given, given.value), monitor::Monitor::Mode::ControlPretty});
}

/// As QEMU has it, a socket is a server that does not wait, unless the place says otherwise.
void read_gdb(Line& line, const Given& given) {
  if (given.value == "none") {
    line.gdb.reset();
    return line.outcomes.mapped(given.text(), "gdb cannot connect");
  }
  if (given.value.starts_with("udp:"))
    return line.outcomes.refused(given.text(),
                                 "expected a place that gdb connects to (tcp:, unix:), found one of "
                                 "datagrams; change it");
  const bool tcp = given.value.starts_with("tcp:");
  line.gdb = read_place(line, given, given.value + (tcp ? ",wait=off,nodelay=on,server=on" : ""));
}

void read_gdb_short(Line& line, const Given& given) {
  line.gdb = read_place(line, given, "tcp::1234,wait=off,nodelay=on,server=on");
}

void read_mon(Line& line, const Given& given) {
  auto values = read_list(line, given, "chardev");
  if (!values) return;
  Monitor m{new_chardev(given)};
  m.end.refused = !read_id(line, given, *values, "id", IdKind::Monitor, false, m.end.id);
  m.end.refers = values->take("chardev").value_or("");
  const std::string mode = values->take("mode").value_or("readline");
  const bool pretty = read_bool(line, given, *values, "pretty").value_or(false);
  if (mode == "control")
    m.mode = pretty ? monitor::Monitor::Mode::ControlPretty : monitor::Monitor::Mode::Control;
  else if (mode != "readline" || pretty)
    refuse(line, m.end, key_of(given, "mode", mode),
           "expected readline, or control with or without pretty=on; change it");
  if (m.end.refers.empty()) refuse(line, m.end, given.text(), "expected the id of a -chardev; name it");
  refuse_unknown_keys(line, given, *values);
  line.monitors.push_back(std::move(m));
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
