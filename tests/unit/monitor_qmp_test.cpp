// The machine protocol: what is said for what is said, as QEMU has it.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "monitor/monitor.h"
#include "monitor/qmp.h"
#include "unit/fake_chardev.h"
#include "unit/fake_machine_control.h"

namespace armvisor::monitor {
namespace {

struct Qmp : testing::Test {
  FakeMachine machine;
  std::string said;
  QmpSession session{machine, false, [this](std::string_view text) { said += text; }};

  std::string ask(std::string_view bytes) {
    said.clear();
    for (std::size_t at = 0; at < bytes.size();) at += session.take(bytes.substr(at));
    return said;
  }
  void negotiate() {
    session.opened();
    EXPECT_EQ(ask(R"({"execute":"qmp_capabilities"})"), "{\"return\": {}}\r\n");
  }
  static std::string generic(const std::string& text) {
    return "{\"error\": {\"class\": \"GenericError\", \"desc\": \"" + text + "\"}}\r\n";
  }
};

TEST_F(Qmp, ItGreetsAndWaitsForCapabilities) {
  session.opened();
  EXPECT_EQ(said,
            "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 2, \"minor\": 0, \"major\": 10}, \"package\": \"fake\"}, "
            "\"capabilities\": []}}\r\n");
  EXPECT_EQ(ask("{\"execute\":\"query-status\"}\n"),
            "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"Expecting capabilities negotiation with "
            "'qmp_capabilities'\"}}\r\n");
  EXPECT_EQ(session.event_text({"STOP", "", 0}), "") << "no events before";
  negotiate();
  EXPECT_NE(ask("{\"execute\":\"qmp_capabilities\"}").find("already complete"), std::string::npos);
  session.closed();
  session.opened();
  EXPECT_NE(ask("{\"execute\":\"query-status\"}").find("CommandNotFound"), std::string::npos) << "anew for each client";
}

TEST_F(Qmp, AnswersHaveTheIdOfTheirCommand) {
  negotiate();
  EXPECT_EQ(ask(R"({"execute":"query-status","id":{"a":[1,"x"]}})"),
            "{\"return\": {\"status\": \"running\", \"running\": true}, \"id\": {\"a\": [1, \"x\"]}}\r\n");
  EXPECT_EQ(ask(R"({"execute":"nope","id":7})"),
            "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command nope has not been found\"}, \"id\": "
            "7}\r\n");
}

TEST_F(Qmp, ABalloonIsSetIfThereIsOne) {
  negotiate();
  const std::string none =
      "{\"error\": {\"class\": \"DeviceNotActive\", \"desc\": \"No balloon device has been activated\"}}\r\n";
  EXPECT_EQ(ask(R"({"execute":"query-balloon"})"), none);
  EXPECT_EQ(ask(R"({"execute":"balloon","arguments":{"value":4096}})"), none);
  machine.balloon_bytes = 5 << 20;
  EXPECT_EQ(ask(R"({"execute":"query-balloon"})"), "{\"return\": {\"actual\": 5242880}}\r\n");
  EXPECT_EQ(ask(R"({"execute":"balloon","arguments":{"value":4096}})"), "{\"return\": {}}\r\n");
  EXPECT_EQ(ask(R"({"execute":"balloon","arguments":{"value":0}})"), generic("Parameter 'value' expects a size"));
  EXPECT_EQ(ask(R"({"execute":"balloon","arguments":{"value":-5}})"), generic("Parameter 'value' expects a size"));
  EXPECT_EQ(ask(R"({"execute":"balloon","arguments":{"value":"5"}})"),
            generic("Invalid parameter type for 'value', expected: integer"));
  EXPECT_EQ(ask(R"({"execute":"balloon"})"), generic("Parameter 'value' is missing"));
  EXPECT_EQ(machine.told, "balloon[4096] ");
}

TEST_F(Qmp, CommandsFollowEachOtherInPiecesAndInSingleQuotes) {
  negotiate();
  const std::string status = "{\"return\": {\"status\": \"running\", \"running\": true}}\r\n";
  EXPECT_EQ(ask(R"({"execute":"query-status"}{'execute':'query-status'} {"execute":)"), status + status);
  EXPECT_EQ(ask("\n\"query-status\""), "");
  EXPECT_EQ(ask("}"), status);
  EXPECT_EQ(ask(R"({'execute':'human-monitor-command','arguments':{'command-line':'it\'s "x"'}})"),
            "{\"return\": \"unknown command: 'it's'\\r\\n\"}\r\n");
}

TEST_F(Qmp, CommandsReachTheMachine) {
  negotiate();
  for (const char* command : {"stop", "cont", "system_reset", "system_powerdown", "quit"})
    EXPECT_EQ(ask("{\"execute\":\"" + std::string(command) + "\"}"), "{\"return\": {}}\r\n") << command;
  EXPECT_EQ(machine.told, "stop cont reset power_down quit ");
  machine.now = RunState::Shutdown;
  EXPECT_EQ(ask("{\"execute\":\"cont\"}"), generic("Resetting the Virtual Machine is required"));
}

TEST_F(Qmp, QueriesHaveQemusForms) {
  negotiate();
  EXPECT_EQ(
      ask(R"({"execute":"query-cpus-fast"})"),
      "{\"return\": [{\"thread-id\": 100, \"props\": {\"core-id\": 0, \"thread-id\": 0, \"socket-id\": 0, "
      "\"cluster-id\": 0}, \"qom-path\": \"/machine/unattached/device[0]\", \"cpu-index\": 0, \"target\": \"arm\"}, "
      "{\"thread-id\": 101, \"props\": {\"core-id\": 1, \"thread-id\": 0, \"socket-id\": 0, \"cluster-id\": 0}, "
      "\"qom-path\": \"/machine/unattached/device[1]\", \"cpu-index\": 1, \"target\": \"arm\"}]}\r\n");
  EXPECT_EQ(ask(R"({"execute":"query-name"})"), "{\"return\": {}}\r\n");
  machine.title = "a \"b\"";
  EXPECT_EQ(ask(R"({"execute":"query-name"})"), "{\"return\": {\"name\": \"a \\\"b\\\"\"}}\r\n");
  EXPECT_EQ(ask(R"({"execute":"query-chardev"})"),
            "{\"return\": [{\"frontend-open\": true, \"filename\": \"stdio\", \"label\": \"serial0\"}]}\r\n");
  const std::string commands = ask(R"({"execute":"query-commands"})");
#define QMP(name, function, arguments, returns) EXPECT_NE(commands.find("{\"name\": \"" name "\"}"), std::string::npos);
#define CONSTANT(name, answer, returns) EXPECT_NE(commands.find("{\"name\": \"" name "\"}"), std::string::npos);
#define EVENT(name, data)
#define NOT_HERE(name, why) EXPECT_EQ(commands.find("{\"name\": \"" name "\"}"), std::string::npos);
#include "monitor/qmp_commands.inc"
#undef QMP
#undef CONSTANT
#undef EVENT
#undef NOT_HERE
  const Json block = Json::parse(ask(R"({"execute":"query-block"})"))["return"][0];
  EXPECT_EQ(block["device"], "hd0");
  EXPECT_EQ(block["inserted"]["file"], "disk.img");
  EXPECT_EQ(block["inserted"]["ro"], true);
}

TEST_F(Qmp, WhatIsAlwaysTheSameIsAnsweredInQemusForm) {
  negotiate();
#define QMP(name, function, arguments, returns)
#define EVENT(name, data)
#define CONSTANT(name, answer, returns) \
  EXPECT_EQ(Json::parse(ask("{\"execute\": \"" name "\"}"))["return"], Json::parse(answer)) << name;
#define NOT_HERE(name, why)
#include "monitor/qmp_commands.inc"
#undef QMP
#undef CONSTANT
#undef EVENT
#undef NOT_HERE
  EXPECT_EQ(ask(R"({"execute":"query-migrate"})"), "{\"return\": {}}\r\n");
  EXPECT_EQ(ask(R"({"execute":"query-dump"})"),
            "{\"return\": {\"total\": 0, \"status\": \"none\", \"completed\": 0}}\r\n");
  EXPECT_EQ(ask(R"({"execute":"query-mice","arguments":{"x":1}})"), generic("Parameter 'x' is unexpected"));
  const Json cpus = Json::parse(ask(R"({"execute":"query-cpu-definitions"})"))["return"];
  ASSERT_EQ(cpus.size(), 3u);
  EXPECT_EQ(cpus[1].dump(),
            R"({"name":"cortex-a15","typename":"cortex-a15-arm-cpu","static":false,"deprecated":false})");
}

/// Whether `value` is as the schema's type of that name says.
bool is_as_said(const std::map<std::string, Json>& types, const std::string& name, const Json& value) {
  const Json& type = types.at(name);
  const std::string meta = type["meta-type"];
  if (meta == "builtin") {
    const std::string json = type["json-type"];
    return json == "value" || (json == "string" && value.is_string()) || (json == "int" && value.is_number_integer()) ||
           (json == "boolean" && value.is_boolean());
  }
  if (meta == "enum") return std::ranges::find(type["values"], value) != type["values"].end();
  if (meta == "array")
    return value.is_array() &&
           std::ranges::all_of(value, [&](const Json& one) { return is_as_said(types, type["element-type"], one); });
  if (!value.is_object()) return false;
  std::size_t known = 0;
  for (const Json& member : type["members"]) {
    const auto at = value.find(member["name"].get<std::string>());
    if (at == value.end() && !member.contains("default")) return false;
    if (at != value.end() && !is_as_said(types, member["type"], *at)) return false;
    known += at != value.end();
  }
  return known == value.size();
}

TEST_F(Qmp, TheSchemaSaysWhatCommandsAreLikeAndTheyAreSo) {
  negotiate();
  machine.balloon_bytes = 1 << 20;
  const Json schema = Json::parse(ask(R"({"execute":"query-qmp-schema"})"))["return"];
  std::map<std::string, Json> types, commands;
  for (const Json& one : schema) {
    auto& of = one["meta-type"] == "command" ? commands : types;
    EXPECT_TRUE(of.emplace(one["name"], one).second) << one;
  }
  EXPECT_TRUE(types.contains("SHUTDOWN") && types["SHUTDOWN"]["meta-type"] == "event");
  const Json listed = Json::parse(ask(R"({"execute":"query-commands"})"))["return"];
  for (const Json& command : listed) {
    const std::string name = command["name"];
    ASSERT_TRUE(commands.contains(name)) << name;
    const Json& taken = types.at(commands[name]["arg-type"].get<std::string>());
    Json arguments = Json::object();
    for (const Json& member : taken["members"])
      if (!member.contains("default"))
        arguments[member["name"].get<std::string>()] = member["type"] == "int" ? Json(1) : Json("/machine");
    if (name == "qom-get") arguments["property"] = "usb";
    const Json answer = Json::parse(ask(Json{{"execute", name}, {"arguments", arguments}}.dump()));
    if (name == "query-hotpluggable-cpus" || name == "qmp_capabilities") continue;  // errors now
    ASSERT_TRUE(answer.contains("return")) << name << answer;
    EXPECT_TRUE(is_as_said(types, commands[name]["ret-type"], answer["return"])) << name << answer;
    arguments["unknown"] = 1;
    EXPECT_EQ(ask(Json{{"execute", name}, {"arguments", arguments}}.dump()),
              generic("Parameter 'unknown' is unexpected"));
  }
}

TEST_F(Qmp, ObjectsAreListedAsQemuDoes) {
  negotiate();
  const auto list = [&](const std::string& path) {
    return ask(R"({"execute":"qom-list","arguments":{"path":")" + path + "\"}}");
  };
  const auto get = [&](const std::string& path, const std::string& property) {
    return ask(R"({"execute":"qom-get","arguments":{"path":")" + path + R"(","property":")" + property + "\"}}");
  };
  EXPECT_EQ(list("/machine/peripheral"),
            "{\"return\": [{\"name\": \"type\", \"type\": \"string\"}, {\"name\": \"n0\", \"type\": "
            "\"child<virtio-net-pci>\"}]}\r\n");
  EXPECT_EQ(list("/machine/peripheral/"), list("peripheral")) << "the last part is enough";
  EXPECT_EQ(get("/machine", "type"), "{\"return\": \"virt-10.0-machine\"}\r\n");
  EXPECT_EQ(get("machine", "usb"), "{\"return\": false}\r\n");
  EXPECT_EQ(get("/machine/unattached", "device[0]"), "{\"return\": \"/machine/unattached/device[0]\"}\r\n");
  EXPECT_EQ(get("/machine", "nope"), generic("Property 'virt-10.0-machine.nope' not found"));
  EXPECT_EQ(get("n0", "mac"), generic("Path 'n0' does not uniquely identify an object"));
  EXPECT_EQ(list("/nope"), "{\"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"Device '/nope' not found\"}}\r\n");
  EXPECT_EQ(ask(R"({"execute":"qom-list-types","arguments":{"implements":"device"}})"),
            "{\"return\": [{\"name\": \"device\", \"parent\": \"object\"}, {\"name\": \"virtio-net-pci\", "
            "\"parent\": \"device\"}]}\r\n");
  EXPECT_EQ(ask(R"({"execute":"qom-list-types","arguments":{"implements":"nope"}})"), "{\"return\": []}\r\n");
  EXPECT_EQ(ask(R"({"execute":"qom-list"})"), generic("Parameter 'path' is missing"));
  EXPECT_EQ(ask(R"({"execute":"qom-list","arguments":{"path":1}})"),
            generic("Invalid parameter type for 'path', expected: string"));
}

TEST_F(Qmp, WhatIsOnPciIsToldAsQemuDoes) {
  negotiate();
  EXPECT_EQ(
      ask(R"({"execute":"query-pci"})"),
      "{\"return\": [{\"bus\": 0, \"devices\": [{\"bus\": 0, \"slot\": 0, \"function\": 0, \"class_info\": "
      "{\"class\": 1536, \"desc\": \"Host bridge\"}, \"id\": {\"device\": 8, \"vendor\": 6966, \"subsystem\": 0, "
      "\"subsystem-vendor\": 0}, \"irq_pin\": 0, \"qdev_id\": \"\", \"regions\": []}, {\"bus\": 0, \"slot\": 1, "
      "\"function\": 0, \"class_info\": {\"class\": 512, \"desc\": \"Ethernet controller\"}, \"id\": {\"device\": "
      "4096, \"vendor\": 6900, \"subsystem\": 1, \"subsystem-vendor\": 6900}, \"irq\": 0, \"irq_pin\": 1, "
      "\"qdev_id\": \"n0\", \"regions\": [{\"bar\": 0, \"size\": 32, \"type\": \"io\", \"address\": 4096}, "
      "{\"bar\": 1, \"size\": 4096, \"type\": \"memory\", \"address\": -1, \"prefetch\": false, \"mem_type_64\": "
      "false}, {\"bar\": 4, \"size\": 16384, \"type\": \"memory\", \"address\": 268435456, \"prefetch\": true, "
      "\"mem_type_64\": true}]}]}]}\r\n");
}

/// Clients know by the class of the error that they have to do without.
TEST_F(Qmp, WhatIsNotHereIsRefusedWithAReason) {
  negotiate();
  EXPECT_EQ(ask(R"({"execute":"device_add","arguments":{"driver":"virtio-net-pci"},"id":1})"),
            "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command device_add has not been found: "
            "devices are not added to a running machine\"}, \"id\": 1}\r\n");
  EXPECT_NE(ask(R"({"execute":"send-key"})").find("there is no keyboard"), std::string::npos);
  EXPECT_EQ(ask(R"({"execute":"screendump","arguments":{"filename":"f.ppm"}})"), "{\"return\": {}}\r\n");
  EXPECT_EQ(machine.told, "screendump[f.ppm] ");
  EXPECT_EQ(ask(R"({"execute":"screendump","arguments":{"filename":"f","format":"png"}})"),
            generic("Parameter 'format' does not accept value 'png'"));
}

TEST_F(Qmp, WhatIsWrongIsToldInQemusWords) {
  negotiate();
  const std::pair<const char*, const char*> rows[] = {
      {"[1]", "QMP input must be a JSON object"},
      {"3\n", "QMP input must be a JSON object"},
      {"\"x\"", "QMP input must be a JSON object"},
      {"nonsense\n", "JSON parse error, invalid keyword 'nonsense'"},
      {"{\"execute\":1}", "QMP input member 'execute' must be a string"},
      {"{\"executeX\":\"a\"}", "QMP input member 'executeX' is unexpected"},
      {"{\"execute\":\"query-name\",\"foo\":1}", "QMP input member 'foo' is unexpected"},
      {"{\"execute\":\"query-name\",\"arguments\":3}", "QMP input member 'arguments' must be an object"},
      {"{\"execute\":\"stop\",\"arguments\":{\"x\":1}}", "Parameter 'x' is unexpected"},
      {"{\"execute\":\"human-monitor-command\"}", "Parameter 'command-line' is missing"},
      {"{}", "QMP input lacks member 'execute'"},
      {"}", "JSON parse error, expecting value"},
      {"{\"a\" 1}", "JSON parse error, expecting value"},
      {"[}", "JSON parse error, expecting value"}};
  for (const auto& [bytes, text] : rows) EXPECT_EQ(ask(bytes), generic(text)) << bytes;
  EXPECT_EQ(machine.told, "");
}

TEST_F(Qmp, AFloodOfBracketsOrLettersIsBoundedAndReadingGoesOn) {
  negotiate();
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "{\"a\":";
  EXPECT_EQ(ask(deep + "\n"), generic("JSON nesting depth limit exceeded"));
  EXPECT_EQ(ask(std::string(1 << 20, 'x') + "\n"), generic("JSON token size limit exceeded"));
  EXPECT_EQ(ask("{\"execute\":\"" + std::string(1 << 20, 'x') + "\"}\n"), generic("JSON token size limit exceeded"));
  EXPECT_EQ(ask("{\"execute\":\"quit\"}"), "{\"return\": {}}\r\n");
}

TEST_F(Qmp, EventsHaveATime) {
  negotiate();
  EXPECT_EQ(
      session.event_text({"RESET", "{\"guest\": true, \"reason\": \"guest-reset\"}", 12'000'345}),
      "{\"timestamp\": {\"seconds\": 12, \"microseconds\": 345}, \"event\": \"RESET\", \"data\": {\"guest\": true, "
      "\"reason\": \"guest-reset\"}}\r\n");
}

TEST_F(Qmp, AnswersCanBePretty) {
  QmpSession pretty(machine, true, [this](std::string_view text) { said += text; });
  pretty.opened();
  said.clear();
  pretty.take("{\"execute\":\"qmp_capabilities\"}");
  EXPECT_EQ(said, "{\n    \"return\": {}\n}\r\n");
}

// --- on a line

TEST(Monitor, APeerThatReadsNothingIsAnsweredLessAndLosesEventsAtLast) {
  devices::FakeChardev line;
  FakeMachine machine;
  Monitor monitor(line, Monitor::Mode::Control, machine);
  line.type("{\"execute\":\"qmp_capabilities\"}");
  line.full = true;
  std::size_t taken = 0;
  const std::string ask = "{\"execute\":\"query-commands\"}";
  for (int i = 0; i < 10'000; ++i) taken += line.type(ask) == ask.size();
  EXPECT_LT(taken, 1000u) << "commands wait";
  for (int i = 0; i < 100'000; ++i) monitor.event({"STOP", "", 0});
  line.output.clear();
  const int before = line.rooms;
  line.make_room();
  EXPECT_LT(line.output.size(), 2 * Monitor::k_most);
  EXPECT_GT(line.rooms, before) << "commands are taken again";
  line.output.clear();
  EXPECT_EQ(line.type("{\"execute\":\"query-name\"}"), 24u);
  EXPECT_EQ(line.output, "{\"return\": {}}\r\n");
}

TEST(Monitor, ANewPeerGetsNothingOfTheOldOnes) {
  devices::FakeChardev line;
  FakeMachine machine;
  Monitor monitor(line, Monitor::Mode::Control, machine);
  line.type("{\"execute\":\"qmp_capabilities\"}{\"execute\":");
  line.full = true;
  line.type("\"query-name\"}");
  line.set_there(false);
  line.full = false;
  line.output.clear();
  line.set_there(true);
  EXPECT_TRUE(line.output.starts_with("{\"QMP\"")) << line.output;
}

}  // namespace
}  // namespace armvisor::monitor
