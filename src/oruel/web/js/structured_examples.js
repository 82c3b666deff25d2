/** Schemas and functions to start from. */

export const SCHEMAS = [
  {
    label: "Weather",
    name: "weather",
    schema: {
      type: "object",
      properties: {
        city: { type: "string", maxLength: 40 },
        sky: { enum: ["clear", "cloudy", "rain", "snow"] },
        celsius: { type: "integer", minimum: -40, maximum: 50 },
      },
      required: ["city", "sky", "celsius"],
      additionalProperties: false,
    },
  },
  {
    label: "Sentiment",
    name: "sentiment",
    schema: {
      type: "object",
      properties: {
        label: { enum: ["positive", "neutral", "negative"] },
        confidence: { type: "number", minimum: 0, maximum: 1 },
      },
      required: ["label", "confidence"],
      additionalProperties: false,
    },
  },
  {
    label: "Shopping list",
    name: "shopping_list",
    schema: {
      type: "object",
      properties: {
        items: {
          type: "array",
          minItems: 1,
          maxItems: 8,
          items: {
            type: "object",
            properties: { name: { type: "string", maxLength: 24 }, quantity: { type: "integer", minimum: 1, maximum: 99 } },
            required: ["name", "quantity"],
            additionalProperties: false,
          },
        },
      },
      required: ["items"],
      additionalProperties: false,
    },
  },
];

export const TOOLS = [
  {
    name: "get_weather",
    description: "Get the current weather in a city.",
    parameters: {
      type: "object",
      properties: { city: { type: "string", description: "The city" } },
      required: ["city"],
      additionalProperties: false,
    },
  },
  {
    name: "add",
    description: "Adds two numbers.",
    parameters: {
      type: "object",
      properties: { a: { type: "number" }, b: { type: "number" } },
      required: ["a", "b"],
      additionalProperties: false,
    },
  },
  {
    name: "search",
    description: "Searches the product catalogue.",
    parameters: {
      type: "object",
      properties: {
        query: { type: "string" },
        limit: { type: "integer", minimum: 1, maximum: 20 },
        sort: { enum: ["relevance", "price", "rating"] },
      },
      required: ["query"],
      additionalProperties: false,
    },
  },
];
