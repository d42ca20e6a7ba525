-- The health of a HybridJob and of a QuantumBackendPolicy, for Argo CD. Both keep one condition as their summary.
local summary = { HybridJob = "Succeeded", QuantumBackendPolicy = "Ready" }

-- A status of an older spec, or none, says nothing about this one.
if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "waiting for the operator" }
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions or {}) do
  conditions[condition.type] = condition
end

local function says(status, condition)
  return { status = status, message = condition.reason .. ": " .. (condition.message or "") }
end

local result = conditions[summary[obj.kind]]
local suspended = conditions.Suspended
if result ~= nil and result.status == "True" then
  return says("Healthy", result)
elseif result ~= nil and result.status == "False" then
  return says("Degraded", result)
elseif suspended ~= nil and suspended.status == "True" then
  return says("Suspended", suspended)
elseif result ~= nil then
  return says("Progressing", result)
end
return { status = "Progressing", message = "waiting for the operator" }
