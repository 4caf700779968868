# What the topology says, as the resources ask for it. Nothing of it is written anywhere else.

locals {
  text     = file("${path.module}/../topology.yaml")
  topology = yamldecode(local.text)

  functions = local.topology.functions
  public    = { for name, function in local.functions : name => function if function.callers == "anyone" }
  pushed    = { for name, function in local.functions : name => function if function.callers == "subscriptions" }

  # How the image is told which function it is, by what serves it.
  commands = {
    for name, function in local.functions : name => {
      functions-framework = ["functions-framework", "--asgi", "--target", function.target, "--source", function.source]
      uvicorn             = ["python", "-m", replace(dirname(function.source), "/", ".")]
    }[try(function.server, "functions-framework")]
  }

  audiences = { for name in keys(local.pushed) : name => replace(local.topology.push.audience, "{function}", name) }

  catalog = [for name in sort(fileset(var.catalog, "*.yaml")) : yamldecode(file("${var.catalog}/${name}"))]
  destinations = sort(flatten([
    for content in local.catalog : try(keys(content.destinations), [])
  ]))

  topics = toset(concat(
    local.topology.topics,
    [
      for pair in setproduct(local.topology.destinations.topics, local.destinations) :
      replace(pair[0], "{destination}", pair[1])
    ],
  ))

  subscriptions = {
    for name, subscription in merge(
      local.topology.subscriptions,
      {
        for pair in setproduct(keys(local.topology.destinations.subscriptions), local.destinations) :
        replace(pair[0], "{destination}", pair[1]) => {
          for key, value in local.topology.destinations.subscriptions[pair[0]] :
          key => replace(value, "{destination}", pair[1])
        }
      },
    ) : name => merge(local.topology.push, subscription)
  }
  pushes   = { for name, subscription in local.subscriptions : name => subscription if can(subscription.function) }
  archives = { for name, subscription in local.subscriptions : name => subscription if can(subscription.archive) }

  publishing = merge([
    for name, function in local.functions : {
      for topic in flatten([
        for topic in try(function.publishes, []) : length(regexall("{destination}", topic)) == 0 ? [topic] : [
          for destination in local.destinations : replace(topic, "{destination}", destination)
        ]
      ]) : "${name}-${topic}" => { function = name, topic = topic }
    }
  ]...)

  listening = merge([
    for name, function in local.functions : {
      for topic in try(function.listens, []) : "${name}-${topic}" => { function = name, topic = topic }
    }
  ]...)

  knowing = merge([
    for name, function in local.functions : {
      for secret in function.secrets : "${name}-${secret}" => { function = name, secret = secret }
    }
  ]...)
  secrets = toset(flatten([for function in local.functions : function.secrets]))

  # Every duration that the topology names, in seconds.
  seconds = {
    for found in distinct(regexall("\\b([0-9]+)(s|m|h|d)\\b", local.text)) :
    "${found[0]}${found[1]}" => tonumber(found[0]) * { s = 1, m = 60, h = 3600, d = 86400 }[found[1]]
  }
}
