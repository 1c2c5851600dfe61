#include <gtest/gtest.h>

#include "qemu/value_kinds.h"
#include "qemu/words.h"

namespace armvisor::qemu {
namespace {

using Pairs = std::vector<KeyValues::Pair>;

Pairs pairs(std::string_view text, std::string_view implied = {}) {
  auto values = KeyValues::parse(text, implied);
  return values ? values->left() : Pairs{{"error", values.error().message}};
}

TEST(KeyValues, AreSeparatedByCommasOfWhichTwoStandForOne) {
  EXPECT_EQ(pairs("file=a,,b,if=none"), (Pairs{{"file", "a,b"}, {"if", "none"}}));
  EXPECT_EQ(pairs("file=a,,"), (Pairs{{"file", "a,"}}));
  EXPECT_EQ(pairs("a=1,b="), (Pairs{{"a", "1"}, {"b", ""}}));
  EXPECT_EQ(pairs("a=b=c"), (Pairs{{"a", "b=c"}}));
  EXPECT_EQ(pairs(""), Pairs{});
}

TEST(KeyValues, AFirstWordAloneIsTheValueOfTheKeyThatIsImplied) {
  EXPECT_EQ(pairs("virt,secure=off", "type"), (Pairs{{"type", "virt"}, {"secure", "off"}}));
  EXPECT_EQ(pairs("none", "type"), (Pairs{{"type", "none"}}));
}

TEST(KeyValues, OtherWordsAloneAreSwitches) {
  EXPECT_EQ(pairs("socket,server,nowait", "backend"),
            (Pairs{{"backend", "socket"}, {"server", "on"}, {"wait", "off"}}));
}

TEST(KeyValues, AreReadFromJsonToo) {
  EXPECT_EQ(pairs(R"({"driver":"raw","read-only":true,"file":{"driver":"file","n":3},"list":["a","b"]})"),
            (Pairs{{"driver", "raw"},
                   {"read-only", "on"},
                   {"file.driver", "file"},
                   {"file.n", "3"},
                   {"list.0", "a"},
                   {"list.1", "b"}}));
  EXPECT_EQ(pairs("{\"a\":").front().first, "error");
  EXPECT_EQ(pairs("{} trailing").front().first, "error");
  std::string deep = "{\"a\":";
  for (int i = 0; i < 1000; ++i) deep += "[";
  EXPECT_EQ(pairs(deep).front().first, "error");
}

TEST(KeyValues, FaultsOfJsonHaveAPlace) {
  const auto fault = [](std::string_view text) { return pairs(text).front().second; };
  EXPECT_NE(fault(R"({"a":1,"b":2,"a":3})").find("'a' twice"), std::string::npos);
  EXPECT_NE(fault(R"({"f":{"a":1,"a":3}})").find("'a' twice"), std::string::npos);
  EXPECT_EQ(pairs(R"({"a":1,"f":{"a":3}})").size(), 2u) << "of different objects";
  EXPECT_NE(fault(R"({"driver":"raw",})").find("character 17,"), std::string::npos)
      << fault(R"({"driver":"raw",})");
  EXPECT_NE(fault(R"({"a":1} x)").find("character 9"), std::string::npos) << fault(R"({"a":1} x)");
}

TEST(KeyValues, JsonMayHaveSingleQuotes) {
  EXPECT_EQ(pairs(R"({'a':'it\'s "so"','b':"it's"})"), (Pairs{{"a", "it's \"so\""}, {"b", "it's"}}));
}

TEST(Values, AreOfTheirKind) {
  EXPECT_TRUE(is_value("a|b", "b") && is_value("number", "-1") && is_value("number", "0x10") && is_value("size", "1M"));
  EXPECT_TRUE(is_value("uuid", "01234567-89ab-CDEF-0123-456789abcdef") && is_value("order", "dnc"));
  EXPECT_FALSE(is_value("a|b", "c") || is_value("a|b", "") || is_value("number", "") || is_value("number", "1x"));
  EXPECT_FALSE(is_value("uuid", "01234567") || is_value("order", "cc") || is_value("order", "z") ||
               is_value("id", "1"));
  EXPECT_EQ(values_text("a|b|c"), "a, b or c");
}

TEST(KeyValues, TheLastOfAKeyCountsAndAllAreGoneWhenItIsTaken) {
  auto values = *KeyValues::parse("a=1,b=2,a=3", {});
  EXPECT_EQ(values.take("a"), "3");
  EXPECT_EQ(values.take("a"), std::nullopt);
  EXPECT_EQ(values.left(), (Pairs{{"b", "2"}}));
}

TEST(Numbers, SizesHaveUnitsAndFractions) {
  EXPECT_EQ(parse_size("1024", 20), u64{1} << 30);
  EXPECT_EQ(parse_size("1G", 20), u64{1} << 30);
  EXPECT_EQ(parse_size("1.5g", 20), u64{3} << 29);
  EXPECT_EQ(parse_size("512k", 20), u64{512} << 10);
  EXPECT_EQ(parse_size("0x10", 20), u64{16} << 20);
  EXPECT_EQ(parse_size("10b", 20), 10u);
  for (const char* wrong : {"", "G", "1GB", "-1", "1e99", "nan", "inf", "99999999999T", "0xfffffffffffffff"})
    EXPECT_EQ(parse_size(wrong, 20), std::nullopt) << wrong;
}

TEST(Numbers, SwitchesHaveManyNames) {
  for (const char* on : {"on", "yes", "true", "y"}) EXPECT_EQ(parse_bool(on), true);
  for (const char* off : {"off", "no", "false", "n"}) EXPECT_EQ(parse_bool(off), false);
  EXPECT_EQ(parse_bool("1"), std::nullopt);
}

}  // namespace
}  // namespace armvisor::qemu
